/* A transport of your own: here an array plays the server, and nothing touches a network.

   A transport is five functions over a context: open, read, write, wait and close. A modem, lwIP or a pipe takes their
   place in the same way. `wait` may be 0, as here: a blocking call then asks read and write in turn. This one moves a
   byte at a time; any other number from 1 to `count` would do. The dialogue is that of RFC 2195: CRAM-MD5 proves the
   password of "tim" without sending it.

       cc -std=c99 -D_POSIX_C_SOURCE=200809L -O2 transport.c -o transport -lwolfssl && ./transport */

#include <stdio.h>
#include <string.h>

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

/* What the client must send, and what it gets for it; %s is the tag of its command. */
static const char *const script[][2] = {
    {" AUTHENTICATE CRAM-MD5\r\n", "+ PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\r\n"},
    {"dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw\r\n", "%s OK [CAPABILITY IMAP4rev1] hello\r\n"},
    {" NOOP\r\n", "* 3 EXISTS\r\n%s OK done\r\n"},
    {" LOGOUT\r\n", "* BYE see you\r\n%s OK done\r\n"},
};

typedef struct array_server {
    size_t step, at, used;                /* row of the script, place in `answer`, bytes in `line` */
    char answer[128], line[128], tag[16]; /* what the client reads; what it writes; its last tag */
} array_server;

static int array_open(void *context, const char *host, uint16_t port, uint32_t *milliseconds)
{
    (void)host, (void)port, (void)milliseconds; /* there is one array, and it is always there */
    strcpy(((array_server *)context)->answer, "* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] array ready\r\n");
    return 0; /* the "socket" that imapconnect() returns */
}

static int array_read(void *context, void *bytes, size_t count)
{
    array_server *server = context;
    if (count == 0 || server->answer[server->at] == 0)
        return IMAPCONNECT_WANT_READ; /* 0 is forbidden */
    *(char *)bytes = server->answer[server->at++];
    return 1;
}

static int array_write(void *context, const void *bytes, size_t count)
{
    array_server *server = context;
    if (count == 0 || server->used + 2 > sizeof server->line || server->step == 4)
        return IMAPCONNECT_E_TRANSPORT;
    if ((server->line[server->used++] = *(const char *)bytes) != '\n')
        return 1;
    server->line[server->used] = 0;
    server->used = server->at = 0;
    if (strchr(server->line, ' ') != 0) /* a command; what follows a "+" has no tag */
        sscanf(server->line, "%15s", server->tag);
    snprintf(server->answer, sizeof server->answer, script[server->step][1], server->tag);
    printf("%s%s", server->line, server->answer);
    return strstr(server->line, script[server->step++][0]) != 0 ? 1 : IMAPCONNECT_E_TRANSPORT;
}

static void array_close(void *context)
{
    ((array_server *)context)->step = 0;
}

int main(void)
{
    array_server server = {0, 0, 0, "", "", ""};
    imapconnect_config config = {.transport = {&server, array_open, array_read, array_write, 0, array_close}};
    imapconnect_session imap;
    int code = imapconnect_init(&imap, &config);
    code = imapconnect(&imap, "array", "tim", "tanstaaftanstaaf", 0, 0, IMAPCONNECT_INSECURE, 0);
    printf("%d: logged in by %s\n", code, imapconnect_mechanism(&imap));
    if (code == 0 && (code = imapconnect_noop(&imap, 0)) == 0)
        code = imapconnect_disconnect(&imap, 0);
    puts(code == 0 ? "all was as the script says" : imapconnect_strerror(code));
    return code != 0;
}
