/* Room >>connect: what is refused before anything is opened, the states of a session, and what is left of a secret.
   Callbacks cancel and close at each of their calls, and each call of the transport fails once. */

#define IMAPCONNECT_NO_SOCKETS /* as in firmware: transport and clock are all our own */
#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

#include "test.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The calls that the library makes. */
enum { OPEN, READ, WRITE, WAIT, CLOSE, CLOCK, KEEP, LOG, RESPONSE, KINDS };

typedef struct fake {
    imapconnect_session session;
    imapconnect_config config;
    imapconnect_list list;
    char list_text[400];
    const char *const *answers; /* the greeting, then one for each line of the client */
    size_t answer, at, lines;
    char sent[4096];
    size_t used;
    int opens, closes, calls[KINDS];
    int trouble, kind, k; /* at its k-th call this kind does that */
    int troubled;         /* it has happened */
    uint32_t now;
    size_t used_then; /* bytes sent when it happened */
    char log[4096];
    size_t log_used;
} fake;

enum { NO_TROUBLE, FAILS, CANCELS, CLOSES, DISCONNECTS, CALLS };

/* Counts a call; 1 when it is the one. What a callback may do to the session it does here. */
static int is_due(fake *f, int kind)
{
    if (++f->calls[kind] != f->k || kind != f->kind)
        return 0;
    f->troubled = 1;
    f->used_then = f->used;
    if (f->trouble == CLOSES) {
        imapconnect_close(&f->session);
    } else if (f->trouble == DISCONNECTS) {
        assert_int_equal(imapconnect_disconnect(&f->session, 0), IMAPCONNECT_E_BUSY);
    } else if (f->trouble == CALLS) {
        assert_int_equal(imapconnect_noop(&f->session, 0), IMAPCONNECT_E_BUSY);
        assert_int_equal(imapconnect_command(&f->session, "NOOP", 0), IMAPCONNECT_E_BUSY);
        assert_int_equal(imapconnect_step(&f->session), IMAPCONNECT_E_BUSY);
        assert_int_equal(imapconnect(&f->session, "x", "x", "x", 0, 0, 0, 0), IMAPCONNECT_E_BUSY);
    }
    return f->trouble == FAILS || f->trouble == CANCELS;
}

static int fake_open(void *context, const char *host, uint16_t port, uint32_t *milliseconds)
{
    fake *f = context;

    (void)milliseconds;
    assert_string_equal(host, "h");
    assert_int_equal(port, 143);
    f->opens += f->opens == f->closes;
    if (is_due(f, OPEN))
        return IMAPCONNECT_E_REFUSED;
    return f->calls[OPEN] % 3 != 0 ? IMAPCONNECT_WANT_WRITE : 9;
}

static int fake_read(void *context, void *bytes, size_t count)
{
    fake *f = context;
    size_t left;

    assert_int_equal(f->opens, f->closes + 1);
    if (is_due(f, READ))
        return IMAPCONNECT_E_RESET;
    if (f->answers[f->answer] == 0 || f->answer > f->lines || f->calls[READ] % 3 == 0)
        return IMAPCONNECT_WANT_READ;
    left = strlen(f->answers[f->answer]) - f->at;
    if (left == 0)
        return IMAPCONNECT_CLOSED;
    count = count < left ? count : left;
    count = count < 20 ? count : 20;
    memcpy(bytes, f->answers[f->answer] + f->at, count);
    f->at += count;
    if (count == left) {
        f->at = 0;
        f->answer++;
    }
    return (int)count;
}

static int fake_write(void *context, const void *bytes, size_t count)
{
    fake *f = context;
    size_t i;

    assert_int_equal(f->opens, f->closes + 1);
    /* After an error nothing is sent any more. A clock that jumps is one once the library sees it. */
    assert_true(!f->troubled || f->trouble > CLOSES || f->kind == CLOCK);
    if (is_due(f, WRITE))
        return IMAPCONNECT_E_RESET;
    if (f->calls[WRITE] % 3 == 0 || (f->troubled && f->trouble == CLOSES))
        return IMAPCONNECT_WANT_WRITE;
    count = count < 12 ? count : 12;
    assert_true(f->used + count < sizeof f->sent);
    memcpy(f->sent + f->used, bytes, count);
    for (i = 0; i < count; i++)
        f->lines += f->sent[f->used + i] == '\n';
    f->used += count;
    f->sent[f->used] = '\0';
    return (int)count;
}

static int fake_wait(void *context, int what, uint32_t milliseconds)
{
    fake *f = context;

    (void)what;
    f->now += milliseconds < 100 ? milliseconds : 100;
    return is_due(f, WAIT) ? -1 : 0;
}

static void fake_close(void *context)
{
    fake *f = context;

    f->closes++;
    assert_int_equal(f->opens, f->closes);
    (void)is_due(f, CLOSE);
}

static uint32_t fake_clock(void *user)
{
    fake *f = user;

    if (is_due(f, CLOCK))
        f->now += 100000;
    return f->now;
}

static int keep_going(void *user)
{
    return is_due(user, KEEP);
}

static int on_log(void *user, int direction, const char *bytes, size_t count)
{
    fake *f = user;

    (void)direction;
    assert_true(f->log_used + count + 1 < sizeof f->log);
    memcpy(f->log + f->log_used, bytes, count);
    f->log_used += count;
    f->log[f->log_used] = '\0';
    return is_due(f, LOG);
}

static int on_response(void *user, int event, const char *bytes, size_t count)
{
    (void)event;
    (void)bytes;
    (void)count;
    return is_due(user, RESPONSE);
}

static fake *new_fake(const char *const *answers)
{
    fake *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->answers = answers;
    imapconnect_list_init(&f->list, f->list_text, sizeof f->list_text);
    imapconnect_config_init(&f->config);
    f->config.user = f;
    f->config.clock = fake_clock;
    f->config.keep_going = keep_going;
    f->config.on_response = on_response;
    f->config.transport.context = f;
    f->config.transport.open = fake_open;
    f->config.transport.read = fake_read;
    f->config.transport.write = fake_write;
    f->config.transport.wait = fake_wait;
    f->config.transport.close = fake_close;
    return f;
}

static void start(fake *f)
{
    assert_int_equal(imapconnect_init(&f->session, &f->config), 0);
}

static int go_in(fake *f)
{
    return imapconnect(&f->session, "h", "joe", "Xyzzy-42", on_log, &f->list, IMAPCONNECT_INSECURE, 0);
}

static void free_fake(fake *f)
{
    imapconnect_close(&f->session);
    assert_int_equal(f->opens, f->closes);
    free(f);
}

static const char *const well[] = {"* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hi\r\n",
                                   "+ PDEuMkB4Pg==\r\n",
                                   "a1 NO [AUTHENTICATIONFAILED] no\r\n",
                                   "a2 OK in\r\n",
                                   "* 3 EXISTS\r\n* L {5}\r\nhello\r\na3 OK x\r\n",
                                   "* BYE x\r\na4 OK x\r\n",
                                   0};

/* ---- before a session is there ---- */

static void without_a_session(void **state)
{
    static imapconnect_session zeroed;

    (void)state;
    assert_int_equal(imapconnect_init(0, 0), IMAPCONNECT_E_PARAMETER);
    assert_int_equal(imapconnect(0, "h", "u", "p", 0, 0, 0, 0), IMAPCONNECT_E_NOT_OPEN);
    assert_int_equal(imapconnect_noop(0, 0), IMAPCONNECT_E_NOT_OPEN);
    assert_int_equal(imapconnect_command(0, "NOOP", 0), IMAPCONNECT_E_NOT_OPEN);
    assert_int_equal(imapconnect_disconnect(0, 0), IMAPCONNECT_E_NOT_OPEN);
    assert_int_equal(imapconnect_step(0), IMAPCONNECT_E_NOT_OPEN);
    imapconnect_close(0);
    assert_int_equal(imapconnect(&zeroed, "h", "u", "p", 0, 0, 0, 0), IMAPCONNECT_E_NOT_OPEN);
    assert_int_equal(imapconnect_noop(&zeroed, 0), IMAPCONNECT_E_NOT_OPEN);
    assert_int_equal(imapconnect_disconnect(&zeroed, 0), IMAPCONNECT_E_NOT_OPEN);
    imapconnect_close(&zeroed);
}

/* Another size is another layout: nothing of the memory is touched. */
static void another_layout_is_refused(void **state)
{
    imapconnect_session session;
    unsigned char before[sizeof session];

    (void)state;
    memset(&session, 0xa5, sizeof session);
    memcpy(before, &session, sizeof session);
    assert_int_equal(imapconnect_init_sized(&session, 0, sizeof session + 8, IMAPCONNECT_READ_SIZE),
                     IMAPCONNECT_E_LAYOUT);
    assert_int_equal(imapconnect_init_sized(&session, 0, sizeof session - 1, IMAPCONNECT_READ_SIZE),
                     IMAPCONNECT_E_LAYOUT);
    assert_int_equal(imapconnect_init_sized(&session, 0, sizeof session, IMAPCONNECT_READ_SIZE + 1),
                     IMAPCONNECT_E_LAYOUT);
    assert_int_equal(imapconnect_init_sized(&session, 0, sizeof session, 0), IMAPCONNECT_E_LAYOUT);
    assert_memory_equal(&session, before, sizeof session);
}

static void the_configuration_is_zero_and_copied(void **state)
{
    static const imapconnect_config zero;
    imapconnect_config config;
    fake *f = new_fake(well);

    (void)state;
    memset(&config, 0xa5, sizeof config);
    imapconnect_config_init(&config);
    assert_true(config.user == 0 && config.timeout == 0 && config.nonblocking == 0 && config.transport.open == 0);
    assert_memory_equal(&config, &zero, sizeof zero);
    start(f);
    memset(&f->config, 0xa5, sizeof f->config);
    assert_int_equal(go_in(f), 9);
    free_fake(f);
}

/* ---- what is refused ---- */

static void refuse(const char *server, const char *user, const char *password, int secure, int expected)
{
    fake *f = new_fake(well);
    int code;

    start(f);
    imc_list_put(&f->list, "old", 3);
    code = imapconnect(&f->session, server, user, password, on_log, &f->list, secure, IMAPCONNECT_NO_VERIFY);
    if (code != expected)
        fail_msg("'%s', %d: %d, want %d", server ? server : "(null)", secure, code, expected);
    assert_int_equal(f->opens, 0);
    assert_int_equal(f->list.count, 0);
    assert_int_equal(imapconnect_is_open(&f->session), 0);
    assert_int_equal(imapconnect_socket(&f->session), -1);
    /* A connect that failed is fatal: the error stays until the session is closed. */
    assert_int_equal(imapconnect_noop(&f->session, 0), expected);
    assert_int_equal(imapconnect_step(&f->session), expected);
    assert_int_equal(go_in(f), expected);
    assert_int_equal(f->opens, 0);
    imapconnect_close(&f->session);
    assert_int_equal(imapconnect_noop(&f->session, 0), IMAPCONNECT_E_NOT_OPEN);
    assert_int_equal(go_in(f), 9);
    free_fake(f);
}

static void arguments_are_checked_before_anything_is_opened(void **state)
{
    char longest[300];

    (void)state;
    memset(longest, 'x', sizeof longest);
    longest[256] = '\0';
    refuse(0, "joe", "pw", 0, IMAPCONNECT_E_PARAMETER);
    refuse("h", 0, "pw", 0, IMAPCONNECT_E_PARAMETER);
    refuse("h", "joe", 0, 0, IMAPCONNECT_E_PARAMETER);
    refuse("h", "joe", "pw", -1, IMAPCONNECT_E_SECURE);
    refuse("h", "joe", "pw", 3, IMAPCONNECT_E_SECURE);
    refuse("h", "joe", "pw", 256, IMAPCONNECT_E_SECURE);
    refuse("h", "joe", "pw", 258, IMAPCONNECT_E_SECURE);
    refuse("", "joe", "pw", 0, IMAPCONNECT_E_VALUE);
    refuse("h:", "joe", "pw", 0, IMAPCONNECT_E_VALUE);
    refuse("h:65536", "joe", "pw", 0, IMAPCONNECT_E_VALUE);
    refuse("-h", "joe", "pw", 0, IMAPCONNECT_E_VALUE);
    refuse(longest, "joe", "pw", 0, IMAPCONNECT_E_VALUE);
    refuse("h", longest, "pw", 0, IMAPCONNECT_E_TOO_LONG);
    refuse("h", "joe", longest, 0, IMAPCONNECT_E_TOO_LONG);
    refuse("h", "j\roe", "pw", 0, IMAPCONNECT_E_VALUE);
    refuse("h", "joe\n", "pw", 0, IMAPCONNECT_E_VALUE);
    refuse("h", "joe", "p\rw", 0, IMAPCONNECT_E_VALUE);
    refuse("h", "joe", "\npw", 0, IMAPCONNECT_E_VALUE);
    refuse("h", "joe", "pw\r\na9 LOGOUT", 1, IMAPCONNECT_E_VALUE);
}

/* With verification and not one CA nothing is opened: SECURITY.md section 3, 7. */
static void no_ca_is_known_before_connecting(void **state)
{
    fake *f = new_fake(well);

    (void)state;
    f->config.ca_path = "/nonexistent/folder";
    start(f);
    assert_int_equal(imapconnect(&f->session, "h", "joe", "pw", 0, 0, IMAPCONNECT_TLS, IMAPCONNECT_VERIFY),
                     IMAPCONNECT_E_NO_CA);
    assert_int_equal(f->opens, 0);
    free_fake(f);

    f = new_fake(well);
    f->config.ca_data = "no certificate";
    f->config.ca_size = 14;
    start(f);
    assert_int_equal(imapconnect(&f->session, "h", "joe", "pw", 0, 0, IMAPCONNECT_STARTTLS, IMAPCONNECT_VERIFY),
                     IMAPCONNECT_E_CA_FILE);
    assert_int_equal(f->opens, 0);
    free_fake(f);
}

static void a_transport_is_whole_or_not_there(void **state)
{
    int missing;

    (void)state;
    for (missing = 0; missing < 4; missing++) {
        fake *f = new_fake(well);
        imapconnect_transport *transport = &f->config.transport;

        if (missing == 0)
            transport->open = 0;
        else if (missing == 1)
            transport->read = 0;
        else if (missing == 2)
            transport->write = 0;
        else
            transport->close = 0;
        start(f);
        assert_int_equal(go_in(f), IMAPCONNECT_E_PARAMETER);
        assert_int_equal(f->opens, 0);
        free_fake(f);
    }
}

/* A build without sockets has no clock of its own. That must be an error and not a crash: in a process of its own. */
static void without_a_clock(void **state)
{
    int status = 0;
    pid_t child;

    (void)state;
    fflush(0);
    child = fork();
    if (child == 0) {
        fake *f = new_fake(well);

        f->config.clock = 0;
        start(f);
        _exit(go_in(f) == IMAPCONNECT_E_PARAMETER && f->opens == 0 ? 0 : 1);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void the_longest_arguments_pass(void **state)
{
    static const char *const answers[] = {"* OK [CAPABILITY IMAP4rev1] hi\r\n", "a1 OK in\r\n", 0};
    char longest[256], expected[600];
    fake *f = new_fake(answers);

    (void)state;
    memset(longest, 'x', 255);
    longest[255] = '\0';
    start(f);
    assert_int_equal(imapconnect(&f->session, "h", longest, longest, 0, 0, 0, 0), 9);
    sprintf(expected, "a1 LOGIN \"%s\" \"%s\"\r\n", longest, longest);
    assert_string_equal(f->sent, expected);
    free_fake(f);
}

static void empty_user_and_password_pass(void **state)
{
    static const char *const answers[] = {"* OK [CAPABILITY IMAP4rev1] hi\r\n", "a1 OK in\r\n", 0};
    fake *f = new_fake(answers);

    (void)state;
    start(f);
    assert_int_equal(imapconnect(&f->session, "h", "", "", 0, 0, 0, 0), 9);
    assert_string_equal(f->sent, "a1 LOGIN \"\" \"\"\r\n");
    free_fake(f);
}

/* A command that is refused sends nothing and leaves the session as it was; the list is empty, as after every call. */
static void refused_commands_leave_the_session_open(void **state)
{
    static const struct {
        const char *text;
        int code;
    } cases[] = {{0, IMAPCONNECT_E_PARAMETER},
                 {"", IMAPCONNECT_E_VALUE},
                 {" NOOP", IMAPCONNECT_E_VALUE},
                 {"NOOP\r\n", IMAPCONNECT_E_VALUE},
                 {"login x y", IMAPCONNECT_E_USE_FUNCTION},
                 {"IDLE", IMAPCONNECT_E_USE_FUNCTION},
                 {"APPEND x {5}", IMAPCONNECT_E_LITERAL},
                 {"APPEND x {5+}", IMAPCONNECT_E_LITERAL}};
    fake *f = new_fake(well);
    size_t i, used;

    (void)state;
    start(f);
    assert_int_equal(go_in(f), 9);
    used = f->used;
    for (i = 0; i < COUNT(cases); i++) {
        imc_list_put(&f->list, "old", 3);
        assert_int_equal(imapconnect_command(&f->session, cases[i].text, &f->list), cases[i].code);
        assert_int_equal(f->list.count, 0);
        assert_int_equal(f->used, used);
        assert_int_equal(imapconnect_is_open(&f->session), 1);
        assert_int_equal(imapconnect_step(&f->session), 0);
    }
    assert_int_equal(imapconnect_noop(&f->session, 0), 0);
    free_fake(f);
}

/* ---- the states of a session ---- */

static void from_closed_to_open_and_back(void **state)
{
    fake *f = new_fake(well);

    (void)state;
    start(f);
    assert_int_equal(imapconnect_noop(&f->session, 0), IMAPCONNECT_E_NOT_OPEN);
    assert_int_equal(imapconnect_disconnect(&f->session, 0), IMAPCONNECT_E_NOT_OPEN);
    assert_int_equal(imapconnect_step(&f->session), IMAPCONNECT_E_NOT_OPEN);
    assert_int_equal(imapconnect_is_open(&f->session), 0);
    assert_int_equal(imapconnect_socket(&f->session), -1);
    assert_string_equal(imapconnect_phase(&f->session), "closed");
    assert_string_equal(imapconnect_mechanism(&f->session), "");
    assert_string_equal(imapconnect_answer(&f->session), "");
    assert_string_equal(imapconnect_server_text(&f->session), "");
    assert_string_equal(imapconnect_response_code(&f->session), "");

    assert_int_equal(go_in(f), 9);
    assert_int_equal(imapconnect_is_open(&f->session), 1);
    assert_int_equal(imapconnect_socket(&f->session), 9);
    assert_int_equal(imapconnect_is_encrypted(&f->session), 0);
    assert_string_equal(imapconnect_phase(&f->session), "ready");
    assert_string_equal(imapconnect_mechanism(&f->session), "LOGIN"); /* after CRAM-MD5 was refused */
    assert_string_equal(imapconnect_answer(&f->session), "OK");
    assert_string_equal(imapconnect_server_text(&f->session), "in");
    assert_string_equal(imapconnect_response_code(&f->session), "");
    assert_int_equal(go_in(f), IMAPCONNECT_E_OPEN);
    assert_int_equal(imapconnect_noop(&f->session, 0), 0);
    assert_int_equal(f->closes, 0);

    assert_int_equal(imapconnect_disconnect(&f->session, 0), 0);
    assert_int_equal(f->closes, 1);
    assert_int_equal(imapconnect_is_open(&f->session), 0);
    assert_int_equal(imapconnect_socket(&f->session), -1);
    assert_int_equal(imapconnect_disconnect(&f->session, 0), IMAPCONNECT_E_NOT_OPEN);
    assert_int_equal(f->closes, 1);

    f->answer = f->lines = 0; /* and again, with tags that begin anew */
    f->used = 0;
    assert_int_equal(go_in(f), 9);
    assert_int_equal(memcmp(f->sent, "a1 AUTHENTICATE CRAM-MD5\r\n", 26), 0);
    free_fake(f);
}

/* The network connection is closed even when the reply to LOGOUT is wrong, SPEC.md section 2. */
static void disconnect_closes_whatever_is_answered(void **state)
{
    static const struct {
        const char *reply;
        int code;
    } cases[] = {{"a2 NO x\r\n", IMAPCONNECT_E_LOGOUT},
                 {"a2 BAD x\r\n", IMAPCONNECT_E_LOGOUT},
                 {"+ x\r\n", IMAPCONNECT_E_LOGOUT},
                 {"a2 OK x\r\n", 0},
                 {"* BYE\r\na2 OK\r\n", 0},
                 {"", IMAPCONNECT_CLOSED},
                 {"a7 OK x\r\n", IMAPCONNECT_E_TAG},
                 {"\r\n", IMAPCONNECT_E_RESPONSE}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        const char *answers[] = {"* OK [CAPABILITY IMAP4rev1] hi\r\n", "a1 OK in\r\n", cases[i].reply, 0};
        fake *f = new_fake(answers);

        start(f);
        assert_int_equal(go_in(f), 9);
        assert_int_equal(imapconnect_disconnect(&f->session, &f->list), cases[i].code);
        assert_int_equal(f->closes, 1);
        assert_int_equal(imapconnect_noop(&f->session, 0), IMAPCONNECT_E_NOT_OPEN); /* it is over, and closed */
        f->answer = f->lines = f->used = 0;
        assert_int_equal(go_in(f), 9);
        free_fake(f);
    }
}

/* The first error stays, nothing is sent any more, and what the server said last can still be asked. */
static void a_failed_session_until_it_is_closed(void **state)
{
    static const char *const answers[] = {"* OK [CAPABILITY IMAP4rev1] hi\r\n", "a1 OK in\r\n",
                                          "* BYE [UNAVAILABLE] too late\r\n", 0};
    fake *f = new_fake(answers);
    size_t used;
    int i;

    (void)state;
    start(f);
    assert_int_equal(go_in(f), 9);
    assert_int_equal(imapconnect_noop(&f->session, &f->list), IMAPCONNECT_E_BYE);
    used = f->used;
    assert_int_equal(f->closes, 1);
    for (i = 0; i < 2; i++) {
        assert_int_equal(imapconnect_noop(&f->session, 0), IMAPCONNECT_E_BYE);
        assert_int_equal(imapconnect_command(&f->session, "NOOP", 0), IMAPCONNECT_E_BYE);
        assert_int_equal(imapconnect_command(&f->session, "", 0), IMAPCONNECT_E_BYE);
        assert_int_equal(imapconnect_step(&f->session), IMAPCONNECT_E_BYE);
        assert_int_equal(go_in(f), IMAPCONNECT_E_BYE);
    }
    assert_string_equal(imapconnect_phase(&f->session), "command");
    assert_string_equal(imapconnect_answer(&f->session), "BYE");
    assert_string_equal(imapconnect_response_code(&f->session), "UNAVAILABLE");
    assert_string_equal(imapconnect_server_text(&f->session), "too late");
    assert_string_equal(imapconnect_mechanism(&f->session), "LOGIN");
    assert_int_equal(imapconnect_is_open(&f->session), 0);
    assert_int_equal(imapconnect_disconnect(&f->session, 0), IMAPCONNECT_E_BYE);
    assert_int_equal(f->used, used);
    assert_int_equal(f->closes, 1);
    assert_int_equal(imapconnect_noop(&f->session, 0), IMAPCONNECT_E_NOT_OPEN);
    assert_string_equal(imapconnect_server_text(&f->session), "");
    free_fake(f);
}

/* ---- secrets ---- */

static int holds(const void *memory, size_t size, const char *text)
{
    const char *bytes = memory;
    size_t count = strlen(text), at;

    for (at = 0; at + count <= size; at++)
        if (memcmp(bytes + at, text, count) == 0)
            return 1;
    return 0;
}

/* Password, digest, and answer of "joe" with "Xyzzy-42" to "<1.2@x>"; the digest is openssl's. */
static const char *const secrets[] = {"Xyzzy",
                                      "y-42",
                                      "WHl6en",
                                      "ktNDI",
                                      "58797a7a79",
                                      "58797A7A79",
                                      "f15a66e83184b73c",
                                      "\xf1\x5a\x66\xe8\x31\x84\xb7\x3c\xfe\x3d\xb1\x45\xd3\x1e\x94\xb7",
                                      "am9lIGYxNWE2NmU4MzE4NGI3M2NmZTNkYjE0NWQzMWU5NGI3"};

static void no_secret_is_in(const void *memory, size_t size, const char *where)
{
    size_t i;

    for (i = 0; i < COUNT(secrets); i++)
        if (holds(memory, size, secrets[i]))
            fail_msg("secret %zu is in %s", i, where);
}

static void look_for_secrets(const fake *f)
{
    no_secret_is_in(&f->session, sizeof f->session, "the session");
    no_secret_is_in(f->log, f->log_used, "the log");
    no_secret_is_in(f->list_text, sizeof f->list_text, "the list");
}

/* The search finds what it has to find, where it is: on the wire. */
static void secrets_leave_and_are_gone(void **state)
{
    static const char *const replies[][6] = {
        {"* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hi\r\n", "+ PDEuMkB4Pg==\r\n", "a1 OK in\r\n", 0},
        {"* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hi\r\n", "+ PDEuMkB4Pg==\r\n", "a1 NO no\r\n", "a2 NO no\r\n", 0},
        {"* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hi\r\n", "+ PDEuMkB4Pg==\r\n", "* BYE\r\n", 0},
        {"* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hi\r\n", "+ PDEuMkB4Pg==\r\n", 0}, /* and silence */
        {"* OK [CAPABILITY IMAP4rev1] hi\r\n", "a1 OK in\r\n", 0},
        {"* OK [CAPABILITY IMAP4rev1] hi\r\n", "a1 BAD x\r\n", 0}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(replies); i++) {
        fake *f = new_fake(replies[i]);
        int code;

        start(f);
        code = go_in(f);
        assert_int_equal(code >= 0, i == 0 || i == 4);
        if (i < 4)
            assert_true(holds(f->sent, f->used, secrets[COUNT(secrets) - 1]));
        else
            assert_true(holds(f->sent, f->used, "Xyzzy-42"));
        look_for_secrets(f);
        assert_true(holds(f->log, f->log_used, "***"));
        free_fake(f);
    }
}

/* The same for a password that goes as a literal. */
static void a_literal_leaves_and_is_gone(void **state)
{
    static const char *const answers[] = {"* OK [CAPABILITY IMAP4rev1] hi\r\n", "+ go\r\n", "a1 OK in\r\n", 0};
    fake *f = new_fake(answers);

    (void)state;
    start(f);
    f->lines = 0;
    assert_int_equal(imapconnect(&f->session, "h", "joe", "Xyzzy-42\xff", on_log, &f->list, 0, 0), 9);
    look_for_secrets(f);
    assert_string_equal(f->sent, "a1 LOGIN \"joe\" {9}\r\nXyzzy-42\xff\r\n");
    free_fake(f);
}

/* Whoever closes in the middle of a login leaves nothing either. */
static void a_login_that_is_closed_leaves_nothing(void **state)
{
    int steps, i;

    (void)state;
    for (steps = 0; steps < 40; steps++) {
        fake *f = new_fake(well);
        int code;

        f->config.nonblocking = 1;
        start(f);
        code = go_in(f);
        for (i = 0; i < steps && code == IMAPCONNECT_PENDING; i++)
            code = imapconnect_step(&f->session);
        imapconnect_close(&f->session);
        look_for_secrets(f);
        assert_true(steps < 39 || code == 9); /* by then it is in */
        free_fake(f);
    }
}

#define STACK_SIZE (512u * 1024u)

static fake *on_its_stack;
static int code_of_stack;

/* Far down, where what the thread does at its own end writes nothing any more. */
static void *go_in_deep(void *unused)
{
    volatile char above[65536];

    (void)unused;
    above[0] = 0;
    code_of_stack = go_in(on_its_stack);
    above[1] = above[0];
    return 0;
}

__attribute__((no_sanitize_address)) static int stack_holds(const unsigned char *stack, const char *what)
{
    size_t at, i;

    for (at = 0; at + 8 <= STACK_SIZE; at++) {
        for (i = 0; i < 8 && stack[at + i] == (unsigned char)what[i]; i++)
            ;
        if (i == 8)
            return 1;
    }
    return 0;
}

/* Connects with these answers on a stack that can be looked at. SECURITY.md section 3, 27. */
static void look_at_the_stack(const char *const *answers)
{
    static const char *const pieces[] = {"Xyzzy-42",
                                         "am9lIGYx",
                                         "NWE2NmU4",
                                         "f15a66e8",
                                         "3184b73c",
                                         "\xf1\x5a\x66\xe8\x31\x84\xb7\x3c",
                                         "\xfe\x3d\xb1\x45\xd3\x1e\x94\xb7"};
    fake *f = new_fake(answers);
    void *stack = 0;
    pthread_attr_t attributes;
    pthread_t thread;
    size_t i;

    start(f);
    on_its_stack = f;
    assert_int_equal(posix_memalign(&stack, 4096, STACK_SIZE), 0);
    memset(stack, 0, STACK_SIZE);
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstack(&attributes, stack, STACK_SIZE), 0);
    assert_int_equal(pthread_create(&thread, &attributes, go_in_deep, 0), 0);
    assert_int_equal(pthread_join(thread, 0), 0);
    pthread_attr_destroy(&attributes);
    assert_int_equal(code_of_stack, 9);
    for (i = 0; i < COUNT(pieces); i++)
        if (stack_holds(stack, pieces[i]))
            fail_msg("piece %zu is on the stack", i);
    free(stack);
    free_fake(f);
}

static void no_secret_stays_on_the_stack(void **state)
{
    static const char *const cram[] = {"* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hi\r\n", "+ PDEuMkB4Pg==\r\n",
                                       "a1 OK in\r\n", 0};
    static const char *const login[] = {"* OK [CAPABILITY IMAP4rev1] hi\r\n", "a1 OK in\r\n", 0};

    (void)state;
    look_at_the_stack(cram);
    look_at_the_stack(login);
    look_at_the_stack(well); /* the one, and then the other */
}

/* ---- everything fails, at each of its calls ---- */

/* Connects, asks, and logs out. Returns the first error, 0 when all went well. */
static int scenario(fake *f)
{
    int code;

    start(f);
    code = go_in(f);
    look_for_secrets(f);
    if (code < 0)
        return code;
    code = imapconnect_noop(&f->session, &f->list);
    if (code < 0)
        return code;
    return imapconnect_disconnect(&f->session, &f->list);
}

static void check_after(fake *f, int code)
{
    if (f->opens != f->closes)
        fail_msg("trouble %d of kind %d at call %d: %d, %d opens and %d closes", f->trouble, f->kind, f->k, code,
                 f->opens, f->closes);
    look_for_secrets(f);
    assert_int_equal(imapconnect_is_open(&f->session), 0);
    assert_int_equal(imapconnect_socket(&f->session), -1);
}

static int expected_code(int trouble, int kind)
{
    if (trouble != FAILS)
        return IMAPCONNECT_E_CANCELLED;
    if (kind == OPEN)
        return IMAPCONNECT_E_REFUSED;
    return kind == WAIT ? IMAPCONNECT_E_TRANSPORT : IMAPCONNECT_E_RESET;
}

/* For every k, until the scenario has no k-th call of this kind any more. */
static void torture(int trouble, int kind)
{
    int k, code, happened = 1;

    for (k = 1; happened; k++) {
        fake *f = new_fake(well);

        f->trouble = trouble;
        f->kind = kind;
        f->k = k;
        code = scenario(f);
        happened = f->troubled;
        if (!happened)
            assert_int_equal(code, 0);
        else if (kind == CLOCK && trouble == FAILS)
            assert_true(code == 0 || code == IMAPCONNECT_E_TIMEOUT || code == IMAPCONNECT_E_CONNECT_TIMEOUT);
        else if (trouble <= CLOSES && code != expected_code(trouble, kind))
            fail_msg("trouble %d of kind %d at call %d: %d", trouble, kind, k, code);
        else if (trouble > CLOSES)
            assert_int_equal(code, 0);
        if (happened && trouble <= CLOSES && kind != CLOCK)
            assert_int_equal(f->used, f->used_then); /* nothing was sent any more */
        check_after(f, code);
        free_fake(f);
        assert_true(k < 1000);
    }
    assert_true(k > 2);
}

static void every_call_of_the_transport_fails(void **state)
{
    (void)state;
    torture(FAILS, OPEN);
    torture(FAILS, READ);
    torture(FAILS, WRITE);
    torture(FAILS, WAIT);
}

static void the_clock_jumps_at_every_call(void **state)
{
    (void)state;
    torture(FAILS, CLOCK);
}

static void every_callback_cancels_at_every_call(void **state)
{
    (void)state;
    torture(CANCELS, KEEP);
    torture(CANCELS, LOG);
    torture(CANCELS, RESPONSE);
}

static int apart_trouble, apart_kind;

static void torture_as_asked(void **state)
{
    (void)state;
    torture(apart_trouble, apart_kind);
}

/* In a process of its own, since what goes wrong here goes wrong badly; as a group of its own there, so that a failure
   ends that process and not the test that it is part of. */
static void torture_apart(int trouble, int kind)
{
    static const struct CMUnitTest alone[] = {cmocka_unit_test(torture_as_asked)};
    int status = 0;
    pid_t child;

    apart_trouble = trouble;
    apart_kind = kind;
    fflush(0);
    child = fork();
    if (child == 0)
        _exit(cmocka_run_group_tests(alone, 0, 0) != 0);
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status != 0)
        fail_msg("trouble %d in calls of kind %d: status %x", trouble, kind, (unsigned)status);
}

/* From inside a callback it cancels the call: the manual, imapconnect_close(). */
static void close_inside_the_response_callback(void **state)
{
    (void)state;
    torture_apart(CLOSES, RESPONSE);
}

static void close_inside_the_log(void **state)
{
    (void)state;
    torture_apart(CLOSES, LOG);
}

static void close_inside_keep_going(void **state)
{
    (void)state;
    torture_apart(CLOSES, KEEP);
}

static void close_inside_the_clock(void **state)
{
    (void)state;
    torture_apart(CLOSES, CLOCK);
}

static void close_inside_the_transport(void **state)
{
    (void)state;
    torture_apart(CLOSES, OPEN);
    torture_apart(CLOSES, READ);
    torture_apart(CLOSES, WRITE);
    torture_apart(CLOSES, WAIT);
}

static void calls_inside_callbacks_are_busy(void **state)
{
    static const int kinds[] = {OPEN, READ, WRITE, WAIT, KEEP, LOG, RESPONSE};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(kinds); i++) {
        torture_apart(CALLS, kinds[i]);
        torture_apart(DISCONNECTS, kinds[i]);
    }
}

/* Two sessions share nothing. */
static void two_sessions_at_once(void **state)
{
    fake *a = new_fake(well), *b = new_fake(well);

    (void)state;
    start(a);
    start(b);
    assert_int_equal(go_in(a), 9);
    assert_int_equal(go_in(b), 9);
    imapconnect_close(&a->session);
    assert_int_equal(a->closes, 1);
    assert_int_equal(b->closes, 0);
    assert_int_equal(imapconnect_noop(&b->session, 0), 0);
    assert_int_equal(imapconnect_noop(&a->session, 0), IMAPCONNECT_E_NOT_OPEN);
    free_fake(a);
    assert_int_equal(imapconnect_disconnect(&b->session, 0), 0);
    free_fake(b);
}

/* Each call that is given a list empties it first; without one nothing is kept. */
static void a_list_belongs_to_one_call(void **state)
{
    fake *f = new_fake(well);

    (void)state;
    start(f);
    assert_int_equal(go_in(f), 9);
    assert_int_equal(f->list.count, 4);
    assert_string_equal(imapconnect_list_next(&f->list, 0), "* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hi");
    assert_int_equal(imapconnect_noop(&f->session, &f->list), 0);
    assert_int_equal(f->list.count, 3);
    assert_string_equal(imapconnect_list_next(&f->list, 0), "* 3 EXISTS");
    assert_int_equal(imapconnect_disconnect(&f->session, 0), 0);
    assert_int_equal(f->list.count, 3);
    free_fake(f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(without_a_session),
    cmocka_unit_test(another_layout_is_refused),
    cmocka_unit_test(the_configuration_is_zero_and_copied),
    cmocka_unit_test(arguments_are_checked_before_anything_is_opened),
    cmocka_unit_test(no_ca_is_known_before_connecting),
    cmocka_unit_test(a_transport_is_whole_or_not_there),
    cmocka_unit_test(without_a_clock),
    cmocka_unit_test(the_longest_arguments_pass),
    cmocka_unit_test(empty_user_and_password_pass),
    cmocka_unit_test(refused_commands_leave_the_session_open),
    cmocka_unit_test(from_closed_to_open_and_back),
    cmocka_unit_test(disconnect_closes_whatever_is_answered),
    cmocka_unit_test(a_failed_session_until_it_is_closed),
    cmocka_unit_test(secrets_leave_and_are_gone),
    cmocka_unit_test(a_literal_leaves_and_is_gone),
    cmocka_unit_test(a_login_that_is_closed_leaves_nothing),
    cmocka_unit_test(no_secret_stays_on_the_stack),
    cmocka_unit_test(every_call_of_the_transport_fails),
    cmocka_unit_test(the_clock_jumps_at_every_call),
    cmocka_unit_test(every_callback_cancels_at_every_call),
    cmocka_unit_test(close_inside_the_response_callback),
    cmocka_unit_test(close_inside_the_log),
    cmocka_unit_test(close_inside_keep_going),
    cmocka_unit_test(close_inside_the_clock),
    cmocka_unit_test(close_inside_the_transport),
    cmocka_unit_test(calls_inside_callbacks_are_busy),
    cmocka_unit_test(two_sessions_at_once),
    cmocka_unit_test(a_list_belongs_to_one_call),
};
TEST_MAIN(tests)
