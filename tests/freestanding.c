/* A session where there is no libc: what the header needs of one is in here, and freestanding.sh links this with
   nothing else. Its exit status is 0, or the line of the check that failed. The server is an array. */

#define IMAPCONNECT_NO_SOCKETS
#define IMAPCONNECT_NO_TLS
#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

/* -- all of libc -- */

void *memmove(void *to, const void *from, size_t count)
{
    unsigned char *into = (unsigned char *)to;
    const unsigned char *out_of = (const unsigned char *)from;
    if (into > out_of)
        while (count-- > 0)
            into[count] = out_of[count];
    else
        for (; count > 0; count--)
            *into++ = *out_of++;
    return to;
}

void *memcpy(void *to, const void *from, size_t count)
{
    return memmove(to, from, count);
}

void *memset(void *to, int byte, size_t count)
{
    unsigned char *into = (unsigned char *)to;
    for (; count > 0; count--)
        *into++ = (unsigned char)byte;
    return to;
}

int memcmp(const void *one, const void *other, size_t count)
{
    const unsigned char *left = (const unsigned char *)one, *right = (const unsigned char *)other;
    for (; count > 0; count--, left++, right++)
        if (*left != *right)
            return *left < *right ? -1 : 1;
    return 0;
}

void *memchr(const void *bytes, int byte, size_t count)
{
    unsigned char *next = (unsigned char *)(uintptr_t)bytes;
    for (; count > 0; count--, next++)
        if (*next == (unsigned char)byte)
            return next;
    return 0;
}

size_t strlen(const char *text)
{
    size_t count = 0;
    while (text[count] != '\0')
        count++;
    return count;
}

/* -- the server: RFC 3501 -- */

static const char *const script[][2] = {
    {"", "* OK [CAPABILITY IMAP4rev1] ready\r\n"},
    {"a1 LOGIN \"joe\" \"secret\"\r\n", "a1 OK [CAPABILITY IMAP4rev1] in\r\n"},
    {"a2 SELECT \"INBOX\"\r\n", "* 18 EXISTS\r\n* OK [UIDVALIDITY 3857529045] valid\r\na2 OK [READ-WRITE] open\r\n"},
    {"a3 UID FETCH 7 (UID BODY.PEEK[])\r\n", "* 1 FETCH (UID 7 BODY[] {11}\r\nhello\r\n\r\nhi)\r\na3 OK done\r\n"},
    {"a4 LOGOUT\r\n", "* BYE see you\r\na4 OK done\r\n"},
};

typedef struct array_server {
    unsigned row, closed;
    size_t at; /* in the answer */
    uint32_t now;
    char message[16];
    size_t used;
} array_server;

static int array_open(void *context, const char *host, uint16_t port, uint32_t *milliseconds)
{
    (void)context;
    (void)milliseconds;
    return strlen(host) == 4 && port == 143 ? 5 : IMAPCONNECT_E_TRANSPORT;
}

static int array_read(void *context, void *bytes, size_t count)
{
    array_server *server = (array_server *)context;
    const char *answer = script[server->row][1] + server->at;
    if (count > 3)
        count = 3;
    if (count > strlen(answer))
        count = strlen(answer);
    memcpy(bytes, answer, count);
    server->at += count;
    return count > 0 ? (int)count : IMAPCONNECT_WANT_READ;
}

static int array_write(void *context, const void *bytes, size_t count)
{
    array_server *server = (array_server *)context;
    const char *expected = script[++server->row][0];
    server->at = 0;
    return count == strlen(expected) && memcmp(bytes, expected, count) == 0 ? (int)count : IMAPCONNECT_E_TRANSPORT;
}

static void array_close(void *context)
{
    ((array_server *)context)->closed++;
}

static uint32_t array_clock(void *user)
{
    return ((array_server *)user)->now++; /* so that a server that says nothing ends, too */
}

static int array_sink(void *user, const void *bytes, size_t count)
{
    array_server *server = (array_server *)user;
    if (count > sizeof server->message - server->used)
        return 1;
    memcpy(server->message + server->used, bytes, count);
    server->used += count;
    return 0;
}

static int session_with(array_server *server)
{
    imapconnect_config config;
    imapconnect_session imap;
    imapconnect_selection inbox;
    imapconnect_config_init(&config);
    config.user = server;
    config.clock = array_clock;
    config.transport.context = server;
    config.transport.open = array_open;
    config.transport.read = array_read;
    config.transport.write = array_write;
    config.transport.close = array_close;
    if (imapconnect_init(&imap, &config) != 0 ||
        imapconnect(&imap, "mail", "joe", "secret", 0, 0, IMAPCONNECT_INSECURE, 0) != 5)
        return __LINE__;
    if (imapconnect_select_mailbox(&imap, "INBOX", &inbox, 0) != 0 || inbox.messages != 18 ||
        inbox.uidvalidity != 3857529045u)
        return __LINE__;
    if (imapconnect_recv_message(&imap, 7, array_sink, server, 0) != 0 || server->used != 11 ||
        memcmp(server->message, "hello\r\n\r\nhi", 11) != 0)
        return __LINE__;
    return imapconnect_disconnect(&imap, 0) == 0 && server->closed == 1 ? 0 : __LINE__;
}

/* -- where the program begins -- */

void _start(void);

#ifdef __x86_64__
__attribute__((force_align_arg_pointer))
#endif
void _start(void)
{
    array_server server;
    int failed;
    memset(&server, 0, sizeof server);
    failed = session_with(&server);
#ifdef __x86_64__
    __asm__ __volatile__("syscall" : : "a"(60), "D"(failed)); /* _exit of Linux */
#endif
    for (;;)
        (void)failed;
}
