/* One unit of the programs that tests/hygiene.sh builds, valid C99 and C++11. Settings:

   USE            the name of the function defined here; it returns 0, or the line of the first check that
   failed IMPLEMENT      this unit has the implementation, too ORDER          what stands before the header: 1
   nothing, 2 the system's headers, 3 wolfSSL's, 4 the header itself without the implementation EXPECT_LAYOUT
   this unit has other limits than the one with the implementation, and must be told so READ_SIZE      what
   IMAPCONNECT_READ_SIZE must be, when the limits come from a file */

#if ORDER == 2
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#elif ORDER == 3
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/md5.h>
#include <wolfssl/wolfcrypt/types.h>
#elif ORDER == 4
#include "../../imapconnect.h"
#elif ORDER != 1
#error "ORDER is not set"
#endif

#ifdef IMPLEMENT
#define IMAPCONNECT_IMPLEMENTATION
#endif
#include "../../imapconnect.h"
#include "../../imapconnect.h"

#include <stdio.h>
#include <string.h>
#if ORDER == 1 && !defined IMAPCONNECT_NO_TLS
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#endif

#ifdef __cplusplus
extern "C"
#endif
    int
    USE(void);

#ifdef READ_SIZE
typedef char read_size_is_the_one_wanted[IMAPCONNECT_READ_SIZE == READ_SIZE ? 1 : -1];
#endif

#ifdef EXPECT_LAYOUT

int USE(void)
{
    imapconnect_session session;
    struct {
        imapconnect_config config;
        char behind[16];
    } mine;
    size_t i;
    memset(&mine, 1, sizeof mine);
    imapconnect_config_init(&mine.config);
    for (i = 0; i < sizeof mine.behind; i++)
        if (mine.behind[i] != 1) {
            return __LINE__;
        }
    return imapconnect_init(&session, &mine.config) == IMAPCONNECT_E_LAYOUT ? 0 : __LINE__;
}

#else

/* A server in an array: it greets with PREAUTH, and answers each line with its tag and OK. */
typedef struct server {
    char reply[128];
    size_t count, taken;
    int opened, closed;
} server;

static int server_open(void *context, const char *host, uint16_t port, uint32_t *milliseconds)
{
    server *self = (server *)context;
    static const char greeting[] = "* PREAUTH [CAPABILITY IMAP4rev1] at your service\r\n";
    memcpy(self->reply, greeting, sizeof greeting);
    self->count = sizeof greeting - 1;
    self->taken = 0;
    self->opened++;
    (void)milliseconds;
    return strcmp(host, "mail.example.org") == 0 && port == 1143 ? 7 : IMAPCONNECT_E_TRANSPORT;
}

static int server_read(void *context, void *bytes, size_t count)
{
    server *self = (server *)context;
    size_t left = self->count - self->taken;
    if (count > left) {
        count = left;
    }
    if (count == 0) {
        return IMAPCONNECT_WANT_READ;
    }
    memcpy(bytes, self->reply + self->taken, count);
    self->taken += count;
    return (int)count;
}

/* The client writes one short command at a time, and writes it in one piece. */
static int server_write(void *context, const void *bytes, size_t count)
{
    server *self = (server *)context;
    const char *space = (const char *)memchr(bytes, ' ', count);
    size_t tag = space == 0 ? 0 : (size_t)(space - (const char *)bytes);
    if (tag == 0 || tag > 20) {
        return IMAPCONNECT_E_TRANSPORT;
    }
    memcpy(self->reply, bytes, tag);
    memcpy(self->reply + tag, " OK done\r\n", 11);
    self->count = tag + 10;
    self->taken = 0;
    return (int)count;
}

static void server_close(void *context)
{
    server *self = (server *)context;
    self->closed++;
}

static uint32_t no_time(void *user)
{
    (void)user;
    return 0;
}

static void use_the_server(imapconnect_config *config, server *at)
{
    memset(at, 0, sizeof *at);
    imapconnect_config_init(config);
    config->clock = no_time;
    config->transport.context = at;
    config->transport.open = server_open;
    config->transport.read = server_read;
    config->transport.write = server_write;
    config->transport.close = server_close;
}

/* Connects, sends a command, and closes. */
static int talks_imap(void)
{
    imapconnect_session session;
    imapconnect_config config;
    imapconnect_list responses;
    server at;
    char text[256];
    const char *line;

    use_the_server(&config, &at);
    imapconnect_list_init(&responses, text, sizeof text);
    if (imapconnect_init(&session, &config) != 0) {
        return __LINE__;
    }
    if (imapconnect(&session, "mail.example.org:1143", "joe", "secret", 0, &responses, IMAPCONNECT_INSECURE,
                    IMAPCONNECT_VERIFY) != 7) {
        return __LINE__;
    }
    line = imapconnect_list_next(&responses, 0);
    if (line == 0 || strcmp(line, "* PREAUTH [CAPABILITY IMAP4rev1] at your service") != 0) {
        return __LINE__;
    }
    if (imapconnect_noop(&session, 0) != 0 || !imapconnect_is_open(&session)) {
        return __LINE__;
    }
    imapconnect_close(&session);
    return at.opened == 1 && at.closed == 1 ? 0 : __LINE__;
}

/* What TLS is asked for must be refused with its own number, without TLS and without a CA. */
static int asks_for_tls(void)
{
    imapconnect_session session;
    imapconnect_config config;
    server at;
    int result;
#ifdef IMAPCONNECT_NO_TLS
    const int expected = IMAPCONNECT_E_NO_TLS;
#else
    const int expected = IMAPCONNECT_E_NO_CA;
#endif

    use_the_server(&config, &at);
    config.ca_path = "/nonexistent/folder";
    if (imapconnect_init(&session, &config) != 0) {
        return __LINE__;
    }
    result =
        imapconnect(&session, "mail.example.org:1143", "joe", "secret", 0, 0, IMAPCONNECT_TLS, IMAPCONNECT_VERIFY);
    imapconnect_close(&session);
    return result == expected && at.opened == at.closed ? 0 : __LINE__;
}

/* The platform's sockets: nobody listens on port 1. */
static int uses_sockets(void)
{
#ifndef IMAPCONNECT_NO_SOCKETS
    imapconnect_session session;
    int result;
    if (imapconnect_init(&session, 0) != 0) {
        return __LINE__;
    }
    result = imapconnect(&session, "127.0.0.1:1", "joe", "secret", 0, 0, IMAPCONNECT_INSECURE, IMAPCONNECT_VERIFY);
    imapconnect_close(&session);
    if (result != -10061) {
        return __LINE__;
    }
#endif
    return 0;
}

static int has_texts(void)
{
    const char *text = imapconnect_strerror(IMAPCONNECT_E_MEMORY);
    const char *name = imapconnect_code_name(IMAPCONNECT_E_MEMORY);
#ifdef IMAPCONNECT_NO_STRINGS
    return text[0] == 0 && name[0] == 0 ? 0 : __LINE__;
#else
    return strcmp(text, "out of memory") == 0 && strcmp(name, "IMAPCONNECT_E_MEMORY") == 0 ? 0 : __LINE__;
#endif
}

int USE(void)
{
    int (*const checks[])(void) = {talks_imap, asks_for_tls, uses_sockets, has_texts};
    size_t i;
    for (i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        int line = checks[i]();
        if (line != 0) {
            return line;
        }
    }
    return 0;
}

#endif
