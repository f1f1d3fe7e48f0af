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
enum { OPEN, READ, WRITE, WAIT, CLOSE, CLOCK, KEEP, LOG, RESPONSE, TAKE, KINDS };

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
    imapconnect_selection selection;
    imapconnect_status status;
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
    /* Who has closed does not wait for the server. */
    assert_true(!f->troubled || f->trouble != CLOSES || f->kind == WAIT);
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
    for (i = 0; i < (int)sizeof f->session.in; i++) /* what the server has said may be anybody's mail */
        assert_int_equal(f->session.in[i], 0);
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

static int (*current_scenario)(fake *f) = scenario;
static const char *const *current_answers = well;

/* For every k, until the scenario has no k-th call of this kind any more. */
static void torture(int trouble, int kind)
{
    int k, code, happened = 1;

    for (k = 1; happened; k++) {
        fake *f = new_fake(current_answers);

        f->trouble = trouble;
        f->kind = kind;
        f->k = k;
        code = current_scenario(f);
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
        exit(cmocka_run_group_tests(alone, 0, 0) != 0); /* coverage is written then, which _exit() leaves out */
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

/* ---- the commands ---- */

static int take_mailbox(void *user, const imapconnect_mailbox *row)
{
    assert_non_null(row->name);
    return is_due(user, TAKE);
}

static int take_namespace(void *user, const imapconnect_namespace *row)
{
    assert_non_null(row->prefix);
    return is_due(user, TAKE);
}

static int take_message(void *user, const imapconnect_message *row)
{
    assert_true(row->uid != 0);
    return is_due(user, TAKE);
}

static int take_uid(void *user, uint32_t uid)
{
    assert_true(uid != 0);
    return is_due(user, TAKE);
}

static int take_bytes(void *user, const void *bytes, size_t count)
{
    assert_true(bytes != 0 && count != 0);
    return is_due(user, TAKE);
}

static int take_news(void *user, int what, uint32_t number)
{
    fake *f = user;

    (void)what;
    (void)number;
    if (f->trouble != CANCELS) /* to end a wait is no error */
        (void)is_due(f, TAKE);
    return 1;
}

static int give_bytes(void *user, void *bytes, size_t count)
{
    memset(bytes, 'm', count);
    return is_due(user, TAKE) ? -1 : (int)count;
}

static int call_select(fake *f)
{
    return imapconnect_select_mailbox(&f->session, "x", &f->selection, &f->list);
}

static int call_examine(fake *f)
{
    return imapconnect_examine_mailbox(&f->session, "x", 0, &f->list);
}

static int call_close(fake *f)
{
    return imapconnect_close_mailbox(&f->session, &f->list);
}

static int call_unselect(fake *f)
{
    return imapconnect_unselect_mailbox(&f->session, &f->list);
}

static int call_check(fake *f)
{
    return imapconnect_check(&f->session, &f->list);
}

static int call_id(fake *f)
{
    return imapconnect_id(&f->session, "n", "v", &f->list);
}

static int call_enable(fake *f)
{
    return imapconnect_enable(&f->session, "X-A X-B", &f->list);
}

static int call_list(fake *f)
{
    return imapconnect_list_mailboxes(&f->session, "", "*", take_mailbox, f, &f->list);
}

static int call_lsub(fake *f)
{
    return imapconnect_list_subscribed_mailboxes(&f->session, "r", "%", take_mailbox, f, &f->list);
}

static int call_create(fake *f)
{
    return imapconnect_create_mailbox(&f->session, "x", &f->list);
}

static int call_delete(fake *f)
{
    return imapconnect_delete_mailbox(&f->session, "x", &f->list);
}

static int call_subscribe(fake *f)
{
    return imapconnect_subscribe_mailbox(&f->session, "x", &f->list);
}

static int call_unsubscribe(fake *f)
{
    return imapconnect_unsubscribe_mailbox(&f->session, "x", &f->list);
}

static int call_rename(fake *f)
{
    return imapconnect_rename_mailbox(&f->session, "x", "y", &f->list);
}

static int call_status(fake *f)
{
    return imapconnect_mailbox_status(&f->session, "x", &f->status, &f->list);
}

static int call_namespaces(fake *f)
{
    return imapconnect_list_namespaces(&f->session, take_namespace, f, &f->list);
}

static int call_messages(fake *f)
{
    return imapconnect_list_messages(&f->session, IMAPCONNECT_BY_SEQUENCE, 0, 0, take_message, f, &f->list);
}

static int call_messages_by_uid(fake *f)
{
    return imapconnect_list_messages(&f->session, IMAPCONNECT_BY_UID, 5, 9, take_message, f, &f->list);
}

static int call_headers(fake *f)
{
    return imapconnect_recv_headers(&f->session, 7, take_bytes, f, &f->list);
}

static int call_message(fake *f)
{
    return imapconnect_recv_message(&f->session, 7, take_bytes, f, &f->list);
}

static int call_part(fake *f)
{
    static const imapconnect_part part = {"1.2", 5, 10, 1};

    return imapconnect_recv_part(&f->session, 7, &part, take_bytes, f, &f->list);
}

static int call_flags(fake *f)
{
    return imapconnect_set_message_flags(&f->session, 7, 0, 0, 0, 0, IMAPCONNECT_ADD, &f->list);
}

static int call_flags_off(fake *f)
{
    return imapconnect_set_message_flags(&f->session, 7, -1, -1, -1, -1, -1, &f->list);
}

static int call_expunge(fake *f)
{
    return imapconnect_expunge_messages(&f->session, &f->list);
}

static int call_copy(fake *f)
{
    return imapconnect_copy_message(&f->session, 7, "x", &f->list);
}

static int call_move(fake *f)
{
    return imapconnect_move_message(&f->session, 7, "x", &f->list);
}

static int call_search(fake *f)
{
    return imapconnect_search(&f->session, "SINCE 1-Feb-1994 SUBJECT", "a\"b", "UTF-8", take_uid, f, &f->list);
}

static int call_append(fake *f)
{
    static const imapconnect_flags flags = {1, 0, 0, 0, 1, 1, 1};

    return imapconnect_append(&f->session, "x", &flags, "17-Jul-1996 02:44:25 -0700", 3, give_bytes, f, &f->list);
}

static int call_idle(fake *f)
{
    return imapconnect_idle(&f->session, 0, take_news, f, &f->list);
}

/* RFC 3501 section 6, and the RFCs of the extensions: what each sends, and what NO and BAD to it are. */
static const struct command {
    int (*call)(fake *f);
    const char *sent;
    const char *replies[3]; /* one for each line of it */
    int no, bad;
} commands[] = {
    {call_select, "a1 SELECT \"x\"\r\n", {"* 3 EXISTS\r\na1 OK x\r\n", 0, 0}, -1277, -1277},
    {call_examine, "a1 EXAMINE \"x\"\r\n", {"a1 OK x\r\n", 0, 0}, -1277, -1277},
    {call_close, "a1 CLOSE\r\n", {"a1 OK x\r\n", 0, 0}, -1414, -1415},
    {call_unselect, "a1 UNSELECT\r\n", {"a1 OK x\r\n", 0, 0}, -1414, -1415},
    {call_check, "a1 CHECK\r\n", {"a1 OK x\r\n", 0, 0}, -1302, -1302},
    {call_id, "a1 ID (\"name\" \"n\" \"version\" \"v\")\r\n", {"* ID NIL\r\na1 OK x\r\n", 0, 0}, -1414, -1415},
    {call_enable, "a1 ENABLE X-A X-B\r\n", {"* ENABLED X-A\r\na1 OK x\r\n", 0, 0}, -1414, -1415},
    {call_list, "a1 LIST \"\" \"*\"\r\n", {"* LIST () \"/\" INBOX\r\na1 OK x\r\n", 0, 0}, -1276, -1276},
    {call_lsub, "a1 LSUB \"r\" \"%\"\r\n", {"* LSUB () NIL INBOX\r\na1 OK x\r\n", 0, 0}, -1276, -1276},
    {call_create, "a1 CREATE \"x\"\r\n", {"a1 OK x\r\n", 0, 0}, -1285, -1285},
    {call_delete, "a1 DELETE \"x\"\r\n", {"a1 OK x\r\n", 0, 0}, -1284, -1284},
    {call_subscribe, "a1 SUBSCRIBE \"x\"\r\n", {"a1 OK x\r\n", 0, 0}, -1279, -1279},
    {call_unsubscribe, "a1 UNSUBSCRIBE \"x\"\r\n", {"a1 OK x\r\n", 0, 0}, -1280, -1280},
    {call_rename, "a1 RENAME \"x\" \"y\"\r\n", {"a1 OK x\r\n", 0, 0}, -1282, -1282},
    {call_status,
     "a1 STATUS \"x\" (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)\r\n",
     {"* STATUS x (MESSAGES 2 UNSEEN 1)\r\na1 OK x\r\n", 0, 0},
     -1414,
     -1415},
    {call_namespaces, "a1 NAMESPACE\r\n", {"* NAMESPACE ((\"\" \"/\")) NIL NIL\r\na1 OK x\r\n", 0, 0}, -1414, -1415},
    {call_messages, "a1 NOOP\r\n", {"* 0 EXISTS\r\na1 OK x\r\n", 0, 0}, -1301, -1301},
    {call_messages_by_uid, "a1 NOOP\r\n", {"* 0 EXISTS\r\na1 OK x\r\n", 0, 0}, -1301, -1301},
    {call_headers,
     "a1 UID FETCH 7 (UID BODY.PEEK[HEADER])\r\n",
     {"* 1 FETCH (UID 7 BODY[HEADER] {2}\r\nhi)\r\na1 OK x\r\n", 0, 0},
     -1298,
     -1298},
    {call_message,
     "a1 UID FETCH 7 (UID BODY.PEEK[])\r\n",
     {"* 1 FETCH (UID 7 BODY[] {2}\r\nhi)\r\na1 OK x\r\n", 0, 0},
     -1298,
     -1298},
    {call_part,
     "a1 UID FETCH 7 (UID BODY[1.2]<5.10>)\r\n",
     {"* 1 FETCH (UID 7 BODY[1.2]<5> \"hi\")\r\na1 OK x\r\n", 0, 0},
     -1298,
     -1298},
    {call_flags, "a1 UID STORE 7 +FLAGS.SILENT (\\Seen)\r\n", {"a1 OK x\r\n", 0, 0}, -1281, -1281},
    {call_flags_off,
     "a1 UID STORE 7 -FLAGS.SILENT (\\Answered \\Deleted \\Draft \\Flagged \\Seen)\r\n",
     {"a1 OK x\r\n", 0, 0},
     -1281,
     -1281},
    {call_expunge, "a1 EXPUNGE\r\n", {"* 1 EXPUNGE\r\na1 OK x\r\n", 0, 0}, -1283, -1283},
    {call_copy, "a1 UID COPY 7 \"x\"\r\n", {"a1 OK x\r\n", 0, 0}, -1286, -1286},
    {call_move, "a1 UID MOVE 7 \"x\"\r\n", {"* 1 EXPUNGE\r\na1 OK x\r\n", 0, 0}, -1286, -1286},
    {call_search,
     "a1 UID SEARCH CHARSET UTF-8 SINCE 1-Feb-1994 SUBJECT \"a\\\"b\"\r\n",
     {"* SEARCH 3 4\r\na1 OK x\r\n", 0, 0},
     -1414,
     -1415},
    {call_append,
     "a1 APPEND \"x\" (\\Answered \\Seen) \"17-Jul-1996 02:44:25 -0700\" {3}\r\nmmm\r\n",
     {"+ go\r\n", "a1 OK x\r\n", 0},
     -1414,
     -1415},
    {call_idle, "a1 IDLE\r\nDONE\r\n", {"+ idling\r\n", "a1 OK x\r\n", 0}, -1414, -1415}};

static const char preauth[] = "* PREAUTH [CAPABILITY IMAP4rev1 IDLE MOVE] hi\r\n";

/* A session that is in, with these answers to what comes. */
static fake *new_command(const char *const *replies)
{
    static const char *answers[6];
    fake *f;
    size_t i;

    answers[0] = preauth;
    for (i = 0; i < 4 && replies[i] != 0; i++)
        answers[i + 1] = replies[i];
    answers[i + 1] = 0;
    f = new_fake(answers);
    start(f);
    assert_int_equal(go_in(f), 9);
    memset(&f->selection, 0xa5, sizeof f->selection);
    memset(&f->status, 0xa5, sizeof f->status);
    return f;
}

/* 1 when no byte of the outputs was written. */
static int outputs_are_untouched(const fake *f)
{
    imapconnect_selection selection;
    imapconnect_status status;

    memset(&selection, 0xa5, sizeof selection);
    memset(&status, 0xa5, sizeof status);
    return memcmp(&selection, &f->selection, sizeof selection) == 0 &&
           memcmp(&status, &f->status, sizeof status) == 0;
}

static void what_each_command_sends(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(commands); i++) {
        fake *f = new_command(commands[i].replies);
        int code;

        imc_list_clear(&f->list);
        imc_list_put(&f->list, "old", 3);
        code = commands[i].call(f);
        if (code != 0 || strcmp(f->sent, commands[i].sent) != 0)
            fail_msg("'%s': %d, and '%s' was sent", commands[i].sent, code, f->sent);
        assert_string_equal(imapconnect_answer(&f->session), "OK");
        assert_true(f->list.count > 0);
        assert_string_not_equal(imapconnect_list_next(&f->list, 0), "old");
        assert_int_equal(outputs_are_untouched(f),
                         commands[i].call != call_select && commands[i].call != call_status);
        free_fake(f);
    }
}

/* Its own number where it has one; which of the two it was, the code and the text are kept, outputs are not written,
   and the session goes on. */
static void each_command_refused(void **state)
{
    size_t i;
    int bad;

    (void)state;
    for (i = 0; i < COUNT(commands); i++) {
        for (bad = 0; bad < 2; bad++) {
            const char *replies[] = {bad ? "a1 BAD [X-CODE] no\r\n" : "a1 NO [X-CODE] no\r\n", "a2 OK x\r\n", 0};
            int expected = bad ? commands[i].bad : commands[i].no, code;
            fake *f = new_command(replies);

            code = commands[i].call(f);
            if (code != expected)
                fail_msg("'%s': %d, want %d", commands[i].sent, code, expected);
            assert_memory_equal(f->sent, commands[i].sent, f->used);
            assert_int_equal(f->lines, 1);
            assert_string_equal(imapconnect_answer(&f->session), bad ? "BAD" : "NO");
            assert_string_equal(imapconnect_response_code(&f->session), "X-CODE");
            assert_string_equal(imapconnect_server_text(&f->session), "no");
            assert_int_equal(outputs_are_untouched(f), 1);
            assert_int_equal(f->list.count, 1);
            assert_int_equal(imapconnect_is_open(&f->session), 1);
            assert_int_equal(imapconnect_noop(&f->session, 0), 0);
            free_fake(f);
        }
    }
}

/* What ends any command ends these, and every later call returns the same and sends nothing. */
static void each_command_fails(void **state)
{
    static const struct {
        const char *reply;
        int code;
    } cases[] = {{"* BYE x\r\n", IMAPCONNECT_E_BYE},
                 {"", IMAPCONNECT_CLOSED},
                 {"a9 OK x\r\n", IMAPCONNECT_E_TAG},
                 {"a1 WHAT x\r\n", IMAPCONNECT_E_RESPONSE},
                 {"\r\n", IMAPCONNECT_E_RESPONSE}};
    size_t i, k, m;

    (void)state;
    for (i = 0; i < COUNT(commands); i++) {
        for (k = 0; k < COUNT(cases); k++) {
            const char *replies[2] = {0, 0};
            size_t used;
            fake *f;

            replies[0] = cases[k].reply;
            f = new_command(replies);
            assert_int_equal(commands[i].call(f), cases[k].code);
            used = f->used;
            assert_int_equal(f->closes, 1);
            assert_int_equal(outputs_are_untouched(f), 1);
            for (m = 0; m < COUNT(commands); m++) {
                imc_list_clear(&f->list);
                imc_list_put(&f->list, "old", 3);
                assert_int_equal(commands[m].call(f), cases[k].code);
                assert_int_equal(f->list.count, 0);
            }
            assert_int_equal(f->used, used);
            free_fake(f);
        }
    }
}

static void commands_without_an_open_session(void **state)
{
    static const char *const none[] = {0};
    fake *f = new_command(none);
    size_t i;

    (void)state;
    imapconnect_close(&f->session);
    for (i = 0; i < COUNT(commands); i++) {
        imc_list_clear(&f->list);
        imc_list_put(&f->list, "old", 3);
        assert_int_equal(commands[i].call(f), IMAPCONNECT_E_NOT_OPEN);
        assert_int_equal(f->list.count, 0);
    }
    memset(&f->session, 0, sizeof f->session); /* never initialised */
    for (i = 0; i < COUNT(commands); i++)
        assert_int_equal(commands[i].call(f), IMAPCONNECT_E_NOT_OPEN);
    assert_int_equal(f->used, 0);
    assert_int_equal(imapconnect_init(&f->session, &f->config), 0);
    free_fake(f);
    assert_int_equal(imapconnect_select_mailbox(0, "x", 0, 0), IMAPCONNECT_E_NOT_OPEN);
    assert_int_equal(imapconnect_idle(0, 0, 0, 0, 0), IMAPCONNECT_E_NOT_OPEN);
    assert_int_equal(imapconnect_set_message_flags(0, 7, 0, 0, 0, 0, 0, 0), IMAPCONNECT_E_NOT_OPEN);
}

/* Another call is in progress: nothing is disturbed, not even the list. */
static void commands_while_another_one_runs(void **state)
{
    static const char *const replies[] = {"* 3 EXISTS\r\na1 OK x\r\n", 0};
    fake *f;
    size_t i;
    int code;

    (void)state;
    f = new_command(replies);
    f->session.config.nonblocking = 1;
    code = imapconnect_noop(&f->session, &f->list);
    assert_int_equal(code, IMAPCONNECT_PENDING);
    while (code == IMAPCONNECT_PENDING) {
        size_t count = f->list.count;

        for (i = 0; i < COUNT(commands); i++) {
            assert_int_equal(commands[i].call(f), IMAPCONNECT_E_BUSY);
            assert_int_equal(f->list.count, count);
        }
        code = imapconnect_step(&f->session);
    }
    assert_int_equal(code, 0);
    assert_int_equal(f->list.count, 2);
    assert_string_equal(f->sent, "a1 NOOP\r\n");
    assert_int_equal(outputs_are_untouched(f), 1);
    free_fake(f);
}

/* In a session that does not block each of them is stepped to the same end, and outputs are written only then. */
static void each_command_step_by_step(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(commands); i++) {
        fake *f = new_command(commands[i].replies);
        int code, steps = 0;

        f->session.config.nonblocking = 1;
        f->calls[READ] = f->calls[WRITE] = 2; /* the next ones would block */
        code = commands[i].call(f);
        while (code == IMAPCONNECT_PENDING) {
            assert_int_equal(outputs_are_untouched(f), 1);
            code = imapconnect_step(&f->session);
            assert_in_range(++steps, 1, 1000);
        }
        assert_int_equal(code, 0);
        assert_true(steps > 0);
        assert_string_equal(f->sent, commands[i].sent);
        free_fake(f);
    }
}

/* ---- arguments of the commands ---- */

/* A call that was refused: nothing was sent, the list is empty, and the session is as it was. */
static void refused(fake *f, int code, int expected, const char *call)
{
    if (code != expected)
        fail_msg("%s: %d, want %d", call, code, expected);
    assert_int_equal(f->used, 0);
    assert_int_equal(f->list.count, 0);
    assert_int_equal(imapconnect_is_open(&f->session), 1);
    assert_int_equal(imapconnect_step(&f->session), 0);
    assert_int_equal(outputs_are_untouched(f), 1);
    imc_list_put(&f->list, "old", 3);
}

#define REFUSES(call, code) refused(f, (call), (code), #call)

static fake *new_refusal(void)
{
    static const char *const none[] = {0};
    fake *f = new_command(none);

    imc_list_clear(&f->list);
    imc_list_put(&f->list, "old", 3);
    return f;
}

/* Of every function that takes a name: none, line ends, what is not UTF-8, also in a name that is to go as it is. */
static void names_that_are_refused(void **state)
{
    static const struct {
        const char *name;
        int code;
    } cases[] = {{0, IMAPCONNECT_E_PARAMETER},
                 {"\r", IMAPCONNECT_E_VALUE},
                 {"a\nb", IMAPCONNECT_E_VALUE},
                 {"x\r\na9 DELETE y", IMAPCONNECT_E_VALUE},
                 {"Entw\xfcrfe", IMAPCONNECT_E_VALUE},
                 {"\xc3", IMAPCONNECT_E_VALUE},
                 {"\xc0\x80", IMAPCONNECT_E_VALUE},
                 {"\xed\xa0\x80", IMAPCONNECT_E_VALUE},
                 {"a\xff", IMAPCONNECT_E_VALUE},
                 {"\xff"
                  "a\r\n",
                  IMAPCONNECT_E_VALUE},
                 {"\xff\n", IMAPCONNECT_E_VALUE}};
    fake *f = new_refusal();
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        imapconnect_session *s = &f->session;
        const char *bad = cases[i].name;
        int code = cases[i].code;

        REFUSES(imapconnect_select_mailbox(s, bad, &f->selection, &f->list), code);
        REFUSES(imapconnect_examine_mailbox(s, bad, &f->selection, &f->list), code);
        REFUSES(imapconnect_list_mailboxes(s, bad, "*", take_mailbox, f, &f->list), code);
        REFUSES(imapconnect_list_mailboxes(s, "", bad, take_mailbox, f, &f->list), code);
        REFUSES(imapconnect_list_subscribed_mailboxes(s, bad, "*", take_mailbox, f, &f->list), code);
        REFUSES(imapconnect_list_subscribed_mailboxes(s, "", bad, take_mailbox, f, &f->list), code);
        REFUSES(imapconnect_create_mailbox(s, bad, &f->list), code);
        REFUSES(imapconnect_delete_mailbox(s, bad, &f->list), code);
        REFUSES(imapconnect_subscribe_mailbox(s, bad, &f->list), code);
        REFUSES(imapconnect_unsubscribe_mailbox(s, bad, &f->list), code);
        REFUSES(imapconnect_rename_mailbox(s, bad, "y", &f->list), code);
        REFUSES(imapconnect_rename_mailbox(s, "x", bad, &f->list), code);
        REFUSES(imapconnect_mailbox_status(s, bad, &f->status, &f->list), code);
        REFUSES(imapconnect_copy_message(s, 7, bad, &f->list), code);
        REFUSES(imapconnect_move_message(s, 7, bad, &f->list), code);
        REFUSES(imapconnect_append(s, bad, 0, 0, 3, give_bytes, f, &f->list), code);
    }
    free_fake(f);
}

/* Without somebody who takes the rows there is nothing to list for. */
static void lists_without_a_taker(void **state)
{
    fake *f = new_refusal();
    imapconnect_session *s = &f->session;

    (void)state;
    REFUSES(imapconnect_list_mailboxes(s, "", "*", 0, f, &f->list), IMAPCONNECT_E_NO_LIST);
    REFUSES(imapconnect_list_subscribed_mailboxes(s, "", "*", 0, f, &f->list), IMAPCONNECT_E_NO_LIST);
    REFUSES(imapconnect_list_namespaces(s, 0, f, &f->list), IMAPCONNECT_E_NO_LIST);
    REFUSES(imapconnect_list_messages(s, 0, 0, 0, 0, f, &f->list), IMAPCONNECT_E_NO_LIST);
    REFUSES(imapconnect_list_messages(s, 1, 5, 9, 0, f, &f->list), IMAPCONNECT_E_NO_LIST);
    REFUSES(imapconnect_search(s, "ALL", 0, 0, 0, f, &f->list), IMAPCONNECT_E_NO_LIST);
    free_fake(f);
}

static void ranges_and_uids_that_are_refused(void **state)
{
    static const imapconnect_part all = {0, 0, 0, 0};
    fake *f = new_refusal();
    imapconnect_session *s = &f->session;

    (void)state;
    REFUSES(imapconnect_list_messages(s, -1, 0, 0, take_message, f, &f->list), IMAPCONNECT_E_VALUE);
    REFUSES(imapconnect_list_messages(s, 2, 0, 0, take_message, f, &f->list), IMAPCONNECT_E_VALUE);
    REFUSES(imapconnect_list_messages(s, 0, 2, 1, take_message, f, &f->list), IMAPCONNECT_E_VALUE);
    REFUSES(imapconnect_list_messages(s, 1, 4294967295u, 1, take_message, f, &f->list), IMAPCONNECT_E_VALUE);
    REFUSES(imapconnect_recv_headers(s, 0, take_bytes, f, &f->list), IMAPCONNECT_E_VALUE);
    REFUSES(imapconnect_recv_message(s, 0, take_bytes, f, &f->list), IMAPCONNECT_E_VALUE);
    REFUSES(imapconnect_recv_part(s, 0, &all, take_bytes, f, &f->list), IMAPCONNECT_E_VALUE);
    REFUSES(imapconnect_recv_headers(s, 7, 0, f, &f->list), IMAPCONNECT_E_PARAMETER);
    REFUSES(imapconnect_recv_message(s, 7, 0, f, &f->list), IMAPCONNECT_E_PARAMETER);
    REFUSES(imapconnect_recv_part(s, 7, &all, 0, f, &f->list), IMAPCONNECT_E_PARAMETER);
    REFUSES(imapconnect_recv_part(s, 7, 0, take_bytes, f, &f->list), IMAPCONNECT_E_PARAMETER);
    REFUSES(imapconnect_copy_message(s, 0, "x", &f->list), IMAPCONNECT_E_VALUE);
    REFUSES(imapconnect_move_message(s, 0, "x", &f->list), IMAPCONNECT_E_VALUE);
    REFUSES(imapconnect_set_message_flags(s, 0, 1, 0, 0, 0, 0, &f->list), IMAPCONNECT_E_VALUE);
    REFUSES(imapconnect_set_message_flags(s, 0, 0, 0, 0, 0, 0, &f->list), IMAPCONNECT_E_VALUE);
    REFUSES(imapconnect_set_message_flags(s, 7, 2, 0, 0, 0, 0, &f->list), IMAPCONNECT_E_VALUE);
    REFUSES(imapconnect_set_message_flags(s, 7, 0, -2, 0, 0, 0, &f->list), IMAPCONNECT_E_VALUE);
    REFUSES(imapconnect_set_message_flags(s, 7, 0, 0, 100, 0, 0, &f->list), IMAPCONNECT_E_VALUE);
    REFUSES(imapconnect_set_message_flags(s, 7, 0, 0, 0, INT32_MIN, 0, &f->list), IMAPCONNECT_E_VALUE);
    REFUSES(imapconnect_set_message_flags(s, 7, 1, 1, 1, 1, 3, &f->list), IMAPCONNECT_E_VALUE);
    free_fake(f);
}

/* Each flag is to stay as it is: that is no error, and nothing is sent. */
static void flags_that_all_stay(void **state)
{
    static const char *const replies[] = {"a1 OK x\r\n", 0};
    fake *f = new_refusal();

    (void)state;
    REFUSES(imapconnect_set_message_flags(&f->session, 7, 0, 0, 0, 0, 0, &f->list), 0);
    f->session.config.nonblocking = 1;
    REFUSES(imapconnect_set_message_flags(&f->session, 7, 0, 0, 0, 0, 0, &f->list), 0);
    free_fake(f);
    f = new_command(replies);
    assert_int_equal(imapconnect_set_message_flags(&f->session, 7, 0, 0, 0, 0, 0, 0), 0);
    assert_int_equal(imapconnect_noop(&f->session, 0), 0);
    assert_string_equal(f->sent, "a1 NOOP\r\n");
    free_fake(f);
}

/* Without MOVE it would be copied, and stay where it is: nothing is sent. With MOVE it is for the server to say. */
static void moves_out_of_a_read_only_mailbox(void **state)
{
    static const char *const opened[] = {"a1 OK [READ-ONLY] x\r\n", "a1 OK [READ-WRITE] x\r\n"};
    int kind, able;

    (void)state;
    for (kind = 0; kind < 3; kind++) { /* SELECT answered READ-ONLY, READ-WRITE, EXAMINE */
        for (able = 0; able < 2; able++) {
            const char *answers[] = {able ? preauth : "* PREAUTH [CAPABILITY IMAP4rev1 IDLE] hi\r\n",
                                     opened[kind == 1], "a2 NO x\r\n", "a3 OK x\r\n", 0};
            int refused_here = kind != 1 && !able;
            fake *f = new_fake(answers);
            size_t used;

            start(f);
            assert_int_equal(go_in(f), 9);
            assert_int_equal(kind == 2 ? call_examine(f) : call_select(f), 0);
            used = f->used;
            imc_list_put(&f->list, "old", 3);
            assert_int_equal(call_move(f), refused_here ? IMAPCONNECT_E_READ_ONLY : IMAPCONNECT_E_COPY);
            assert_int_equal(f->list.count, refused_here ? 0 : 1);
            assert_string_equal(f->sent + used, refused_here ? ""
                                                : able       ? "a2 UID MOVE 7 \"x\"\r\n"
                                                             : "a2 UID COPY 7 \"x\"\r\n");
            assert_int_equal(imapconnect_noop(&f->session, 0), refused_here ? IMAPCONNECT_E_NOOP : 0);
            free_fake(f);
        }
    }
}

/* A section stands in brackets, as it is. */
static void sections_that_are_refused(void **state)
{
    static const char *const bad[] = {"]",    "TEXT]",    "TEXT] BODY[", "[",      "HEADER.FIELDS (\"A\")",
                                      "a\\b", "{5}",      "1.2\r\n",     "TEXT\n", "\x01",
                                      "\x7f", "\xc3\xa4", "\xff"};
    static const char *const replies[] = {"a1 OK x\r\n", 0};
    fake *f = new_refusal();
    char longest[257], expected[300];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(bad); i++) {
        imapconnect_part part = {0, 0, 0, 0};

        part.section = bad[i];
        REFUSES(imapconnect_recv_part(&f->session, 7, &part, take_bytes, f, &f->list), IMAPCONNECT_E_VALUE);
    }
    memset(longest, 'X', 256);
    longest[256] = '\0';
    for (i = 0; i < 2; i++) {
        imapconnect_part part = {0, 0, 0, 0};

        part.section = longest + i; /* 256 bytes, and then 255 */
        if (i == 0) {
            REFUSES(imapconnect_recv_part(&f->session, 7, &part, take_bytes, f, &f->list), IMAPCONNECT_E_TOO_LONG);
            free_fake(f);
            f = new_command(replies);
        } else {
            assert_int_equal(imapconnect_recv_part(&f->session, 7, &part, take_bytes, f, 0),
                             IMAPCONNECT_E_NO_MESSAGE);
            snprintf(expected, sizeof expected, "a1 UID FETCH 7 (UID BODY.PEEK[%s])\r\n", part.section);
            assert_string_equal(f->sent, expected);
        }
    }
    free_fake(f);
}

static void searches_that_are_refused(void **state)
{
    static const char *const criteria[] = {"", "ALL\r\n", "\n", "SUBJECT {3}", "{", "SUBJECT \xc3\xa4", "\t", "\x7f"};
    static const char *const texts[] = {"a\rb", "\n", "x\r\na9 LOGOUT"};
    static const char *const charsets[] = {"",     "UTF 8", "(UTF-8", "UTF-8)",  "\"UTF-8\"",
                                           "a\\b", "{5}",   "a\r",    "\xc3\xa4"};
    fake *f = new_refusal();
    imapconnect_session *s = &f->session;
    size_t i;

    (void)state;
    REFUSES(imapconnect_search(s, 0, 0, 0, take_uid, f, &f->list), IMAPCONNECT_E_PARAMETER);
    for (i = 0; i < COUNT(criteria); i++)
        REFUSES(imapconnect_search(s, criteria[i], 0, 0, take_uid, f, &f->list), IMAPCONNECT_E_VALUE);
    for (i = 0; i < COUNT(texts); i++)
        REFUSES(imapconnect_search(s, "SUBJECT", texts[i], 0, take_uid, f, &f->list), IMAPCONNECT_E_VALUE);
    for (i = 0; i < COUNT(charsets); i++)
        REFUSES(imapconnect_search(s, "SUBJECT", "x", charsets[i], take_uid, f, &f->list), IMAPCONNECT_E_VALUE);
    free_fake(f);
}

/* RFC 3501 section 9, quoted: what is open at the end would take what follows into the string; a quote behind a
   backslash opens and closes nothing. */
static void quotes_in_the_criteria(void **state)
{
    static const char *const open[] = {"SUBJECT \"x", "SUBJECT \"x\\\"", "\"", "\"a\" \"", "\"a\\", "\"\\\\\\\""};
    static const char *const closed[] = {"SUBJECT \"x\"", "SUBJECT \"a\\\"b\"", "SUBJECT \"\\\\\"",
                                         "SUBJECT \"\" TO \"y\"", "SUBJECT \"\\\"\""};
    fake *f = new_refusal();
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(open); i++)
        REFUSES(imapconnect_search(&f->session, open[i], 0, 0, take_uid, f, &f->list), IMAPCONNECT_E_VALUE);
    free_fake(f);
    for (i = 0; i < COUNT(closed); i++) {
        static const char *const replies[] = {"a1 OK x\r\n", 0};
        char expected[80];

        f = new_command(replies);
        sprintf(expected, "a1 UID SEARCH %s\r\n", closed[i]);
        assert_int_equal(imapconnect_search(&f->session, closed[i], 0, 0, take_uid, f, 0), 0);
        assert_string_equal(f->sent, expected);
        free_fake(f);
    }
}

/* RFC 6855 section 3: once UTF8=ACCEPT is on, no other charset, and none is named. */
static void the_charset_with_utf8(void **state)
{
    static const char *const replies[] = {"* ENABLED UTF8=ACCEPT\r\na1 OK x\r\n", "a2 OK x\r\n", "a3 OK x\r\n", 0};
    fake *f = new_command(replies);
    imapconnect_session *s = &f->session;

    (void)state;
    assert_int_equal(imapconnect_enable(s, "UTF8=ACCEPT", 0), 0);
    f->used = 0;
    imc_list_clear(&f->list);
    imc_list_put(&f->list, "old", 3);
    REFUSES(imapconnect_search(s, "SUBJECT", "x", "US-ASCII", take_uid, f, &f->list), IMAPCONNECT_E_VALUE);
    REFUSES(imapconnect_search(s, "SUBJECT", "x", "UTF-7", take_uid, f, &f->list), IMAPCONNECT_E_VALUE);
    REFUSES(imapconnect_search(s, "SUBJECT", "x", "UTF-88", take_uid, f, &f->list), IMAPCONNECT_E_VALUE);
    assert_int_equal(imapconnect_search(s, "SUBJECT", "\xc3\xa4", "utf-8", take_uid, f, 0), 0);
    assert_string_equal(f->sent, "a2 UID SEARCH SUBJECT \"\xc3\xa4\"\r\n");
    f->used = 0;
    assert_int_equal(imapconnect_search(s, "SUBJECT", "\xc3\xa4", 0, take_uid, f, 0), 0);
    assert_string_equal(f->sent, "a3 UID SEARCH SUBJECT \"\xc3\xa4\"\r\n");
    free_fake(f);
}

static void messages_that_are_not_stored(void **state)
{
    static const char *const dates[] = {"",
                                        "17-Jul-1996",
                                        "17-Jul-1996 02:44:25 -07000",
                                        "17-Jul-1996 02:44:25 -070",
                                        "17-Jul-1996 02:44:25\r\n0700",
                                        "17-Jul-1996 02:44:25 {700",
                                        "17-Jul-1996 02:44:25 -07\xc3\xa4"};
    fake *f = new_refusal();
    size_t i;

    (void)state;
    REFUSES(imapconnect_append(&f->session, "x", 0, 0, 3, 0, f, &f->list), IMAPCONNECT_E_PARAMETER);
    for (i = 0; i < COUNT(dates); i++)
        REFUSES(imapconnect_append(&f->session, "x", 0, dates[i], 3, give_bytes, f, &f->list), IMAPCONNECT_E_VALUE);
    assert_int_equal(f->calls[TAKE], 0); /* the source was not asked */
    free_fake(f);
}

static void extensions_that_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "IMAP4rev2",
                                      "imap4REV2",
                                      "CONDSTORE IMAP4rev2",
                                      "IMAP4rev2 X",
                                      "QRESYNC",
                                      "UIDONLY",
                                      " X",
                                      "X  Y",
                                      "X\r\n",
                                      "X\n",
                                      "{5}",
                                      "X {5+}",
                                      "\xc3\xa4",
                                      "\t",
                                      "\x7f",
                                      " "};
    fake *f = new_refusal();
    size_t i;

    (void)state;
    REFUSES(imapconnect_enable(&f->session, 0, &f->list), IMAPCONNECT_E_PARAMETER);
    for (i = 0; i < COUNT(bad); i++)
        REFUSES(imapconnect_enable(&f->session, bad[i], &f->list), IMAPCONNECT_E_VALUE);
    free_fake(f);
}

/* RFC 5161 section 3.1: one space between two, and none behind the last. */
static void extensions_with_a_space_at_the_end(void **state)
{
    fake *f = new_refusal();

    (void)state;
    REFUSES(imapconnect_enable(&f->session, "X ", &f->list), IMAPCONNECT_E_VALUE);
    free_fake(f);
}

/* RFC 2971 section 3.3: up to 1024 bytes. */
static void clients_that_are_refused(void **state)
{
    static const char *const replies[] = {"a1 OK x\r\n", "a2 OK x\r\n", "a3 OK x\r\n", 0};
    fake *f = new_refusal();
    imapconnect_session *s = &f->session;
    char longest[1026];

    (void)state;
    memset(longest, 'n', 1025);
    longest[1025] = '\0';
    REFUSES(imapconnect_id(s, "a\r", 0, &f->list), IMAPCONNECT_E_VALUE);
    REFUSES(imapconnect_id(s, "a\nb", "v", &f->list), IMAPCONNECT_E_VALUE);
    REFUSES(imapconnect_id(s, "a", "v\r\n", &f->list), IMAPCONNECT_E_VALUE);
    REFUSES(imapconnect_id(s, longest, "v", &f->list), IMAPCONNECT_E_TOO_LONG);
    REFUSES(imapconnect_id(s, "n", longest, &f->list), IMAPCONNECT_E_TOO_LONG);
    free_fake(f);
    f = new_command(replies);
    assert_int_equal(imapconnect_id(&f->session, longest + 1, longest + 1, 0), 0);
    assert_int_equal(f->used, 3 + 4 + 6 + 1 + 1026 + 1 + 9 + 1 + 1026 + 3);
    f->used = 0;
    assert_int_equal(imapconnect_id(&f->session, 0, "v", 0), 0);
    assert_string_equal(f->sent, "a2 ID NIL\r\n");
    f->used = 0;
    assert_int_equal(imapconnect_id(&f->session, "", 0, 0), 0);
    assert_string_equal(f->sent, "a3 ID (\"name\" \"\")\r\n");
    free_fake(f);
}

/* ---- all commands, and everything that can go wrong in them ---- */

static const char *const long_day[] = {
    preauth,
    "* FLAGS (\\Seen)\r\n* 2 EXISTS\r\n* OK [UIDNEXT 9] x\r\na1 OK [READ-WRITE] x\r\n",
    "* LIST (\\HasNoChildren) \"/\" INBOX\r\n* LIST () \"/\" {3}\r\nabc\r\na2 OK x\r\n",
    "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\na3 OK x\r\n",
    "a4 OK x\r\n",
    "* 1 FETCH (UID 7 RFC822.SIZE 3 INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" FLAGS ())\r\n"
    "* 2 FETCH (UID 8 RFC822.SIZE 3 INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" FLAGS (\\Seen))\r\na5 OK x\r\n",
    "* 1 FETCH (UID 7 BODY[] {30}\r\n123456789012345678901234567890)\r\na6 OK x\r\n",
    "+ go\r\n",
    "* SEARCH 7 8\r\na7 OK x\r\n",
    "+ go\r\n",
    "a8 OK x\r\n",
    "* 2 EXPUNGE\r\na9 OK x\r\n",
    "* 1 RECENT\r\n+ idling\r\n",
    "a10 OK x\r\n",
    "* BYE x\r\na11 OK x\r\n",
    0};

static const char long_day_sent[] = "a1 SELECT \"x\"\r\na2 LIST \"\" \"*\"\r\na3 NAMESPACE\r\na4 NOOP\r\n"
                                    "a5 FETCH 1:* (UID RFC822.SIZE INTERNALDATE FLAGS)\r\n"
                                    "a6 UID FETCH 7 (UID BODY.PEEK[])\r\n"
                                    "a7 UID SEARCH SUBJECT {2}\r\n\xc3\xa4\r\n"
                                    "a8 APPEND \"x\" {40}\r\nmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm\r\n"
                                    "a9 UID MOVE 7 \"x\"\r\na10 IDLE\r\nDONE\r\na11 LOGOUT\r\n";

static int search_for_a_literal(fake *f)
{
    return imapconnect_search(&f->session, "SUBJECT", "\xc3\xa4", 0, take_uid, f, 0);
}

static int append_40(fake *f)
{
    return imapconnect_append(&f->session, "x", 0, 0, 40, give_bytes, f, 0);
}

/* Returns the first error; 0 when all went well. */
static int long_scenario(fake *f)
{
    static int (*const calls[])(fake * f) = {call_select,   call_list,    call_namespaces,
                                             call_messages, call_message, search_for_a_literal,
                                             append_40,     call_move,    call_idle};
    size_t i;
    int code;

    start(f);
    code = go_in(f);
    for (i = 0; i < COUNT(calls) && code >= 0; i++)
        code = calls[i](f);
    return code < 0 ? code : imapconnect_disconnect(&f->session, &f->list);
}

static void a_long_day(void **state)
{
    fake *f = new_fake(long_day);

    (void)state;
    assert_int_equal(long_scenario(f), 0);
    assert_string_equal(f->sent, long_day_sent);
    assert_int_equal(f->selection.messages, 2);
    assert_int_equal(f->selection.uidnext, 9);
    assert_in_range(f->calls[TAKE], 2 + 1 + 2 + 2 + 2 + 1 + 1, 12); /* 30 bytes come in two or three pieces */
    free_fake(f);
}

static void everything_fails_in_every_command(void **state)
{
    static const int troubles[][2] = {{FAILS, READ},   {FAILS, WRITE},      {FAILS, WAIT},   {FAILS, CLOCK},
                                      {CANCELS, KEEP}, {CANCELS, RESPONSE}, {CANCELS, TAKE}, {CANCELS, LOG}};
    size_t i;

    (void)state;
    current_scenario = long_scenario;
    current_answers = long_day;
    for (i = 0; i < COUNT(troubles); i++)
        torture(troubles[i][0], troubles[i][1]);
    current_scenario = scenario;
    current_answers = well;
}

static void close_and_calls_in_every_command(void **state)
{
    static const int kinds[] = {READ, WRITE, KEEP, LOG, RESPONSE, TAKE};
    size_t i;

    (void)state;
    current_scenario = long_scenario;
    current_answers = long_day;
    for (i = 0; i < COUNT(kinds); i++) {
        torture_apart(CLOSES, kinds[i]);
        torture_apart(CALLS, kinds[i]);
        torture_apart(DISCONNECTS, kinds[i]);
    }
    current_scenario = scenario;
    current_answers = well;
}

/* ---- collectors ---- */

static void collect(imapconnect_mailboxes *all, const char *name)
{
    imapconnect_mailbox row;

    memset(&row, 0, sizeof row);
    row.name = name;
    row.separator = '/';
    row.has_children = -1;
    assert_int_equal(imapconnect_collect_mailbox(all, &row), 0);
}

/* Rows and names in memory of every size around what is needed, which is three rows, and 6 + 1 + 4 bytes. */
static void mailboxes_in_an_array(void **state)
{
    static const char *const names[] = {"INBOX", "", "\xc3\xa4x"};
    size_t size, text_size, i;

    (void)state;
    for (size = 0; size < 5; size++) {
        for (text_size = 0; text_size < 14; text_size++) {
            imapconnect_mailbox *rows = malloc(size > 0 ? size * sizeof *rows : 1);
            char *text = malloc(text_size > 0 ? text_size : 1);
            imapconnect_mailboxes all;
            size_t end = 0;

            assert_true(rows != 0 && text != 0);
            memset(&all, 0, sizeof all);
            all.rows = rows;
            all.size = size;
            all.text = text;
            all.text_size = text_size;
            for (i = 0; i < COUNT(names); i++)
                collect(&all, names[i]);
            assert_int_equal(all.count, 3);
            assert_int_equal(all.text_used, 11);
            assert_int_equal(all.size, size);
            for (i = 0; i < COUNT(names) && i < size; i++) {
                end += strlen(names[i]) + 1;
                assert_int_equal(rows[i].separator, '/');
                assert_int_equal(rows[i].has_children, -1);
                if (end > text_size)
                    assert_null(rows[i].name);
                else
                    assert_string_equal(rows[i].name, names[i]); /* a copy: the row's own is gone by then */
                assert_true(rows[i].name == 0 || rows[i].name == text + end - strlen(names[i]) - 1);
            }
            free(rows);
            free(text);
        }
    }
}

static void messages_in_an_array(void **state)
{
    size_t size, i;

    (void)state;
    for (size = 0; size < 5; size++) {
        imapconnect_message *rows = malloc(size > 0 ? size * sizeof *rows : 1), row;
        imapconnect_messages all;

        assert_non_null(rows);
        all.rows = rows;
        all.size = size;
        all.count = 0;
        for (i = 0; i < 3; i++) {
            memset(&row, 0, sizeof row);
            row.sequence = (uint32_t)(i + 1);
            row.uid = (uint32_t)(70 + i);
            assert_int_equal(imapconnect_collect_message(&all, &row), 0);
        }
        assert_int_equal(all.count, 3);
        for (i = 0; i < 3 && i < size; i++) {
            assert_int_equal(rows[i].sequence, i + 1);
            assert_int_equal(rows[i].uid, 70 + i);
        }
        free(rows);
    }
}

/* The same at the end of a call: a mailbox has more than there is room for, and the call goes on to its end. */
static void arrays_that_are_too_small(void **state)
{
    static const char *const lists[] = {
        "* LIST () \"/\" INBOX\r\n* LIST () \"/\" Entw&APw-rfe\r\n* LIST () \"/\" &Bad\r\n"
        "a1 OK x\r\n",
        0};
    static const char *const fetches[] = {
        "* 3 EXISTS\r\na1 OK x\r\n",
        "* 1 FETCH (UID 7 RFC822.SIZE 3 INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" FLAGS ())\r\n"
        "* 2 FETCH (UID 8 RFC822.SIZE 4 INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" FLAGS ())\r\n"
        "* 3 FETCH (UID 9 RFC822.SIZE 5 INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" FLAGS ())\r\na2 OK x\r\n",
        0};
    fake *f = new_command(lists);
    imapconnect_mailbox rows[2];
    imapconnect_message two[2];
    imapconnect_mailboxes mailboxes;
    imapconnect_messages messages;
    char text[16];

    (void)state;
    memset(&mailboxes, 0, sizeof mailboxes);
    mailboxes.rows = rows;
    mailboxes.size = 2;
    mailboxes.text = text;
    mailboxes.text_size = sizeof text;
    assert_int_equal(
        imapconnect_list_mailboxes(&f->session, "", "*", imapconnect_collect_mailbox, &mailboxes, &f->list), 0);
    assert_int_equal(mailboxes.count, 3);
    assert_int_equal(mailboxes.text_used, 6 + 10 + 6);
    assert_string_equal(rows[0].name, "INBOX");
    assert_string_equal(rows[1].name, "Entw\xc3\xbcrfe");
    free_fake(f);

    f = new_command(fetches);
    messages.rows = two;
    messages.size = 2;
    messages.count = 0;
    assert_int_equal(imapconnect_list_messages(&f->session, IMAPCONNECT_BY_SEQUENCE, 0, 0,
                                               imapconnect_collect_message, &messages, &f->list),
                     0);
    assert_int_equal(messages.count, 3);
    assert_int_equal(two[1].sequence, 2);
    assert_int_equal(two[1].uid, 8);
    assert_int_equal(two[1].size, 4);
    assert_string_equal(two[1].internal_date, "17-Jul-1996 02:44:25 -0700");
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
    cmocka_unit_test(what_each_command_sends),
    cmocka_unit_test(each_command_refused),
    cmocka_unit_test(each_command_fails),
    cmocka_unit_test(commands_without_an_open_session),
    cmocka_unit_test(commands_while_another_one_runs),
    cmocka_unit_test(each_command_step_by_step),
    cmocka_unit_test(names_that_are_refused),
    cmocka_unit_test(lists_without_a_taker),
    cmocka_unit_test(ranges_and_uids_that_are_refused),
    cmocka_unit_test(flags_that_all_stay),
    cmocka_unit_test(moves_out_of_a_read_only_mailbox),
    cmocka_unit_test(sections_that_are_refused),
    cmocka_unit_test(searches_that_are_refused),
    cmocka_unit_test(quotes_in_the_criteria),
    cmocka_unit_test(the_charset_with_utf8),
    cmocka_unit_test(messages_that_are_not_stored),
    cmocka_unit_test(extensions_that_are_refused),
    cmocka_unit_test(extensions_with_a_space_at_the_end),
    cmocka_unit_test(clients_that_are_refused),
    cmocka_unit_test(a_long_day),
    cmocka_unit_test(everything_fails_in_every_command),
    cmocka_unit_test(close_and_calls_in_every_command),
    cmocka_unit_test(mailboxes_in_an_array),
    cmocka_unit_test(messages_in_an_array),
    cmocka_unit_test(arrays_that_are_too_small),
};
TEST_MAIN(tests)
