/* The same as blocking.c in a poll() loop, for a program that has other things to do.

   With config.nonblocking set a call starts its work and returns IMAPCONNECT_PENDING. The session then says
   what it waits for and how long at most; imapconnect_step() goes on, and at last returns what the blocking
   call would have returned. Until then everything that was given to the call must stay as it is. Only the
   look-up of a name still blocks: a numeric address never does.

       cc -std=c99 -D_POSIX_C_SOURCE=200809L -O2 poll.c -o poll -lwolfssl
       ./poll 192.0.2.25 joe secret [FOLDER OR FILE OF CA CERTIFICATES] */

#include <poll.h>
#include <stdio.h>

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

/* Runs the loop until the call that returned `result` is done. In a program of your own this is the main
   loop: its other files stand behind the first in the array, and the time of its next timer lowers
   `milliseconds`. */
static int finish(imapconnect_session *imap, int result)
{
    while (result == IMAPCONNECT_PENDING) {
        uint32_t milliseconds;
        int wants = imapconnect_wants(imap, &milliseconds);
        struct pollfd files[1];
        files[0].fd = imapconnect_socket(imap); /* ask each time: while connecting it changes */
        files[0].events =
            (short)((wants & IMAPCONNECT_READABLE ? POLLIN : 0) | (wants & IMAPCONNECT_WRITABLE ? POLLOUT : 0));
        poll(files, 1, (int)milliseconds); /* a step too early, or after an error, does no harm */
        result = imapconnect_step(imap);
    }
    return result;
}

static int failed(const char *what, int code)
{
    fprintf(stderr, "%s: %s (%d)\n", what, imapconnect_strerror(code), code);
    return 1;
}

int main(int argc, char **argv)
{
    imapconnect_config config;
    imapconnect_session imap;
    imapconnect_list responses;
    const char *line = 0;
    char text[4096];
    int result;

    if (argc < 4) {
        fputs("usage: poll SERVER[:PORT] USER PASSWORD [CACERTS]\n", stderr);
        return 2;
    }
    imapconnect_config_init(&config);
    config.ca_path = argc > 4 ? argv[4] : 0;
    config.nonblocking = 1;
    imapconnect_init(&imap, &config);
    imapconnect_list_init(&responses, text, sizeof text);

    result = imapconnect(&imap, argv[1], argv[2], argv[3], 0, 0, IMAPCONNECT_TLS, IMAPCONNECT_VERIFY);
    result = finish(&imap, result);
    if (result < 0)
        return failed("connect", result);

    result = finish(&imap, imapconnect_command(&imap, "STATUS INBOX (MESSAGES UNSEEN)", &responses));
    while ((line = imapconnect_list_next(&responses, line)) != 0)
        puts(line);
    if (result < 0)
        failed("STATUS", result);
    return finish(&imap, imapconnect_disconnect(&imap, 0)) < 0 || result < 0;
}
