/* live_server: one connection of a scripted IMAP server, for what no honest server does. A helper of live.sh.

       live_server SENT STEP...

   It listens on a loopback port of the system's choice, prints the port, serves one connection by the steps,
   and then reads until the client has gone. Every byte of the client's is in the file SENT. The steps:

       <      wait for a line; if it has a space, its first word is from then on the tag, %t
       ~N     wait for N milliseconds
       .N     send "x" every N milliseconds until the client has gone
       !      end at once: close without a word
       full   no connection: fill the queue of the listening socket, so that nobody's connect ends
       else   send the text; \r \n and \xNN in it are bytes */

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static FILE *sent;
static char tag[64];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void pause_for(long milliseconds)
{
    struct timespec time;
    time.tv_sec = milliseconds / 1000;
    time.tv_nsec = milliseconds % 1000 * 1000000;
    nanosleep(&time, 0);
}

/* Returns 0 at the end of the stream. */
static int read_line(int client)
{
    char line[8192], byte;
    size_t used = 0;
    do {
        if (read(client, &byte, 1) != 1)
            return 0;
        fputc(byte, sent);
        if (used < sizeof line - 1)
            line[used++] = byte;
    } while (byte != '\n');
    fflush(sent);
    line[used] = 0;
    if (strchr(line, ' ') != 0)
        snprintf(tag, sizeof tag, "%.*s", (int)strcspn(line, " "), line);
    return 1;
}

static int send_all(int client, const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t done = write(client, bytes, count);
        if (done <= 0)
            return 0;
        bytes += done;
        count -= (size_t)done;
    }
    return 1;
}

/* Turns one step into the bytes that it stands for, and sends them. */
static int send_text(int client, const char *text)
{
    char bytes[8192];
    size_t used = 0;
    for (; *text != 0 && used < sizeof bytes - sizeof tag; text++) {
        if (strncmp(text, "\\r", 2) == 0 || strncmp(text, "\\n", 2) == 0) {
            bytes[used++] = *++text == 'r' ? '\r' : '\n';
        } else if (strncmp(text, "\\x", 2) == 0 && strlen(text) >= 4) {
            char digits[3] = {text[2], text[3], 0};
            bytes[used++] = (char)strtol(digits, 0, 16);
            text += 3;
        } else if (strncmp(text, "%t", 2) == 0) {
            memcpy(bytes + used, tag, strlen(tag));
            used += strlen(tag);
            text++;
        } else {
            bytes[used++] = *text;
        }
    }
    return send_all(client, bytes, used);
}

/* Returns 0 when the connection is over. */
static int step(int client, const char *what)
{
    if (strcmp(what, "<") == 0)
        return read_line(client);
    if (strcmp(what, "!") == 0)
        exit(0);
    if (what[0] == '~') {
        pause_for(atol(what + 1));
        return 1;
    }
    if (what[0] != '.')
        return send_text(client, what);
    while (send_all(client, "x", 1))
        pause_for(atol(what + 1));
    return 0;
}

static int listen_on_loopback(struct sockaddr_in *address)
{
    socklen_t size = sizeof *address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    memset(address, 0, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (listener < 0 || bind(listener, (struct sockaddr *)address, sizeof *address) != 0 || listen(listener, 0) != 0)
        die("live_server: listen");
    getsockname(listener, (struct sockaddr *)address, &size);
    return listener;
}

/* The queue holds one; the second is for kernels that take one more. */
static void fill_queue(const struct sockaddr_in *address)
{
    for (int i = 0; i < 2; i++) {
        int filler = socket(AF_INET, SOCK_STREAM, 0);
        alarm(1);
        connect(filler, (const struct sockaddr *)address, sizeof *address);
    }
    alarm(60);
}

static void on_alarm(int number)
{
    (void)number;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address;
    struct sigaction action;
    int listener, client, i;
    char byte;

    if (argc < 3 || (sent = fopen(argv[1], "wb")) == 0)
        die("live_server");
    signal(SIGPIPE, SIG_IGN);
    alarm(60); /* nothing of a test outlives it for long */
    listener = listen_on_loopback(&address);
    if (strcmp(argv[2], "full") == 0) {
        memset(&action, 0, sizeof action);
        action.sa_handler = on_alarm;
        sigaction(SIGALRM, &action, 0);
        fill_queue(&address);
        printf("%d\n", ntohs(address.sin_port));
        fflush(stdout);
        pause();
        return 0;
    }
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    client = accept(listener, 0, 0);
    close(listener);
    for (i = 2; i < argc && step(client, argv[i]); i++) {
    }
    while (read(client, &byte, 1) == 1)
        fputc(byte, sent);
    return 0;
}
