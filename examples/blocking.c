/* The blocking call: connect, one command, disconnect.

   Each call returns when it is done, 0 or more for success and a number below zero for an error, which
   imapconnect_strerror() puts into words. What the server sent lands in a list, one text for each response.
   The session, the list and its buffer are the program's own memory: the library allocates none. The password
   stands on the command line only to keep the example short: there ps shows it to everyone on the machine.

       cc -std=c99 -D_POSIX_C_SOURCE=200809L -O2 blocking.c -o blocking -lwolfssl
       ./blocking imap.example.org joe secret [FOLDER OR FILE OF CA CERTIFICATES] */

#include <stdio.h>

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

static void print_list(const imapconnect_list *responses)
{
    const char *line = 0;
    while ((line = imapconnect_list_next(responses, line)) != 0)
        puts(line);
    if (responses->truncated)
        puts("(the buffer is full: there was more)");
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
    char text[4096];
    int result;

    if (argc < 4) {
        fputs("usage: blocking SERVER[:PORT] USER PASSWORD [CACERTS]\n", stderr);
        return 2;
    }
    imapconnect_config_init(&config); /* every zero is a default that works */
    config.ca_path = argc > 4 ? argv[4] : 0;
    imapconnect_init(&imap, &config);
    imapconnect_list_init(&responses, text, sizeof text);

    result = imapconnect(&imap, argv[1], argv[2], argv[3], 0, &responses, IMAPCONNECT_TLS, IMAPCONNECT_VERIFY);
    if (result < 0)
        return failed("connect", result); /* nothing is open */
    print_list(&responses);

    /* After a NO or BAD the session goes on, after any other error it is over: disconnecting is right for
     * both. */
    result = imapconnect_command(&imap, "STATUS INBOX (MESSAGES UNSEEN)", &responses);
    print_list(&responses);
    if (result < 0)
        failed("STATUS", result);
    return imapconnect_disconnect(&imap, 0) < 0 || result < 0;
}
