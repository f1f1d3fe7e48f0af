/* Room >>session: the loop that moves bytes and keeps the time, over a transport that is an array. The server's
   answers are there as soon as so many lines have come from the client; the clock is ours. */

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

#include "test.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What the transport does in place of its work, at its k-th call. */
enum { WORK, ZERO, TOO_MUCH, CODE };

/* What the server says of its own, so many ms after the beginning; "" ends the stream. */
typedef struct timed {
    uint32_t at;
    const char *text;
} timed;

typedef struct fake {
    imapconnect_session session;
    imapconnect_config config;
    const char *const *answers; /* the first is the greeting; then one for each line of the client; 0 ends */
    size_t at;                  /* byte of the answer */
    size_t answer, lines;
    char sent[8192];
    size_t used;
    size_t read_size, write_size; /* at most so many bytes at a time */
    int wants;                    /* would-block so often before each success */
    int wanted;
    int open_wants; /* open answers WANT so often */
    uint32_t open_lowers;
    int opens, closes, reads, writes, waits, keeps;
    int fail_read, fail_write, fail_kind, fail_code; /* the k-th call does that */
    uint32_t now, wait_takes, longest_wait, last_kept, longest_unkept;
    int keep_cancels_at;
    int drip; /* no answer is ever whole: this byte comes again and again */
    uint32_t drip_ms;
    const char *drip_text;
    const timed *timed;
    size_t timed_byte;
    uint32_t start;    /* of those times */
    const char *flood; /* comes again and again while the client waits for news */
    size_t flood_at;
    uint32_t flood_ms;
    int flood_piece;   /* a byte at a time */
    uint32_t write_ms; /* a write takes so long */
    int write_stops;   /* after so many writes nothing leaves */
} fake;

static fake *of(void *context)
{
    return context;
}

static int fake_open(void *context, const char *host, uint16_t port, uint32_t *milliseconds)
{
    fake *f = of(context);

    assert_string_equal(host, "h");
    assert_int_equal(port, 143);
    if (f->opens == 0)
        f->opens = 1;
    if (f->open_wants > 0) {
        f->open_wants--;
        if (f->open_lowers != 0)
            *milliseconds = f->open_lowers;
        return IMAPCONNECT_WANT_WRITE;
    }
    return 5;
}

/* 1 when would-block is due. */
static int blocks(fake *f)
{
    if (f->wanted < f->wants) {
        f->wanted++;
        return 1;
    }
    f->wanted = 0;
    return 0;
}

static int fails(const fake *f, size_t count)
{
    if (f->fail_kind == ZERO)
        return 0;
    return f->fail_kind == TOO_MUCH ? (int)count + 65530 : f->fail_code;
}

/* Time passes, but not beyond the next thing that the server says. */
static void pass(fake *f, uint32_t milliseconds)
{
    if (f->timed != 0 && f->timed->text != 0) {
        uint32_t gone = f->now - f->start;

        if (gone < f->timed->at && f->timed->at - gone < milliseconds)
            milliseconds = f->timed->at - gone;
    }
    f->now += milliseconds;
}

/* What the server says of its own, whatever the client says. */
static int read_of_its_own(fake *f, char *bytes, size_t count)
{
    size_t left;

    if (f->flood != 0 && f->session.engine.state == IMC_IDLE) {
        f->now += f->flood_ms;
        assert_in_range(f->now - f->start, 0, 100000); /* it must end */
        left = strlen(f->flood) - f->flood_at;
        count = f->flood_piece ? 1 : count < left ? count : left;
        memcpy(bytes, f->flood + f->flood_at, count);
        f->flood_at = count == left ? 0 : f->flood_at + count;
        return (int)count;
    }
    if (f->flood != 0 && f->flood_at != 0) { /* the line that it has begun */
        left = strlen(f->flood) - f->flood_at;
        assert_true(count >= left);
        memcpy(bytes, f->flood + f->flood_at, left);
        f->flood_at = 0;
        return (int)left;
    }
    if (f->timed == 0 || f->timed->text == 0 || f->now - f->start < f->timed->at)
        return IMAPCONNECT_WANT_READ;
    left = strlen(f->timed->text) - f->timed_byte;
    if (left == 0)
        return IMAPCONNECT_CLOSED;
    count = count < left ? count : left;
    memcpy(bytes, f->timed->text + f->timed_byte, count);
    f->timed_byte += count;
    if (count == left) {
        f->timed++;
        f->timed_byte = 0;
    }
    return (int)count;
}

static int fake_read(void *context, void *bytes, size_t count)
{
    fake *f = of(context);
    size_t left;

    assert_int_equal(f->opens - f->closes, 1);
    assert_true(count > 0);
    if (++f->reads == f->fail_read) {
        memset(bytes, 'z', count);
        return fails(f, count);
    }
    if (f->drip && f->answer == 1 && f->lines > 0 && f->drip_text[0] != '\0') {
        f->now += f->drip_ms;
        *(char *)bytes = *f->drip_text;
        f->drip_text = f->drip_text[1] != '\0' ? f->drip_text + 1 : "";
        return 1;
    }
    if (f->flood_at != 0 || f->answers[f->answer] == 0 || f->answer > f->lines)
        return read_of_its_own(f, bytes, count);
    if (blocks(f))
        return IMAPCONNECT_WANT_READ;
    left = strlen(f->answers[f->answer]) - f->at;
    if (left == 0) { /* an empty answer: the end of the stream */
        return IMAPCONNECT_CLOSED;
    }
    if (count > left)
        count = left;
    if (f->read_size != 0 && count > f->read_size)
        count = f->read_size;
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
    fake *f = of(context);
    size_t i;

    assert_int_equal(f->opens - f->closes, 1);
    assert_true(count > 0);
    if (++f->writes == f->fail_write && f->fail_kind != TOO_MUCH)
        return fails(f, count);
    if (blocks(f) || (f->write_stops != 0 && f->writes > f->write_stops))
        return IMAPCONNECT_WANT_WRITE;
    f->now += f->write_ms;
    if (f->write_size != 0 && count > f->write_size)
        count = f->write_size;
    assert_true(f->used + count < sizeof f->sent);
    memcpy(f->sent + f->used, bytes, count);
    for (i = 0; i < count; i++)
        f->lines += f->sent[f->used + i] == '\n';
    f->used += count;
    f->sent[f->used] = '\0';
    return f->writes == f->fail_write ? (int)count + 65530 : (int)count;
}

static int fake_wait(void *context, int what, uint32_t milliseconds)
{
    fake *f = of(context);

    assert_int_equal(f->opens - f->closes, 1);
    assert_in_range(what, 1, 3);
    f->waits++;
    if (milliseconds > f->longest_wait)
        f->longest_wait = milliseconds;
    pass(f, f->wait_takes != 0 && f->wait_takes < milliseconds ? f->wait_takes : milliseconds);
    return 0;
}

static void fake_close(void *context)
{
    fake *f = of(context);

    f->closes++;
    assert_int_equal(f->closes, f->opens);
}

static uint32_t fake_clock(void *user)
{
    return of(user)->now;
}

static int keep_going(void *user)
{
    fake *f = user;

    if (f->keeps > 0 && f->now - f->last_kept > f->longest_unkept)
        f->longest_unkept = f->now - f->last_kept;
    f->last_kept = f->now;
    return ++f->keeps == f->keep_cancels_at;
}

static fake *new_fake(const char *const *answers)
{
    fake *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->answers = answers;
    f->wait_takes = 10;
    imapconnect_config_init(&f->config);
    f->config.user = f;
    f->config.clock = fake_clock;
    f->config.transport.context = f;
    f->config.transport.open = fake_open;
    f->config.transport.read = fake_read;
    f->config.transport.write = fake_write;
    f->config.transport.wait = fake_wait;
    f->config.transport.close = fake_close;
    return f;
}

/* The call ends when it has ended; a non-blocking session is stepped, and the clock goes on as in a wait. */
static int finish(fake *f, int code)
{
    int steps = 0;

    while (code == IMAPCONNECT_PENDING) {
        uint32_t milliseconds = 77777777;
        int wants = imapconnect_wants(&f->session, &milliseconds);

        assert_in_range(wants, milliseconds == 0 ? 0 : 1, 3);
        assert_in_range(milliseconds, 0, 60000);
        f->now += milliseconds < f->wait_takes ? milliseconds : f->wait_takes;
        code = imapconnect_step(&f->session);
        assert_in_range(++steps, 1, 100000);
    }
    return code;
}

static int go_in(fake *f)
{
    assert_int_equal(imapconnect_init(&f->session, &f->config), 0);
    return finish(f, imapconnect(&f->session, "h", "joe", "pw", 0, 0, IMAPCONNECT_INSECURE, 0));
}

static void free_fake(fake *f)
{
    imapconnect_close(&f->session);
    imapconnect_close(&f->session); /* twice is harmless */
    assert_int_equal(f->opens, f->closes);
    free(f);
}

static const char *const well[] = {"* OK [CAPABILITY IMAP4rev1] hi\r\n", "a1 OK in\r\n", "* 3 EXISTS\r\na2 OK x\r\n",
                                   "* BYE x\r\na3 OK x\r\n", 0};

static const char all_sent[] = "a1 LOGIN \"joe\" \"pw\"\r\na2 NOOP\r\na3 LOGOUT\r\n";

/* The whole way, at every size of reads and writes, with would-block before everything, blocking and not. */
static void every_pace_gives_the_same(void **state)
{
    size_t read_size, write_size;
    int wants, mode;

    (void)state;
    for (mode = 0; mode < 3; mode++) {
        for (wants = 0; wants < 3; wants++) {
            for (read_size = 0; read_size < 40; read_size = read_size < 4 ? read_size + 1 : read_size + 13) {
                for (write_size = 0; write_size < 24; write_size = write_size < 4 ? write_size + 1 : write_size + 9) {
                    fake *f = new_fake(well);

                    f->config.nonblocking = mode == 1;
                    if (mode == 2)
                        f->config.transport.wait = 0; /* read and write are called in turn */
                    f->read_size = read_size;
                    f->write_size = write_size;
                    f->wants = wants;
                    assert_int_equal(go_in(f), 5);
                    assert_int_equal(finish(f, imapconnect_noop(&f->session, 0)), 0);
                    assert_int_equal(finish(f, imapconnect_disconnect(&f->session, 0)), 0);
                    assert_string_equal(f->sent, all_sent);
                    assert_int_equal(f->closes, 1);
                    free_fake(f);
                }
            }
        }
    }
}

/* ---- the contract of a transport ---- */

/* 0 has opposite meanings on different platforms, so it is an error; as is every number of no table. */
static void zero_and_unknown_numbers_end_the_session(void **state)
{
    static const struct {
        int kind, code, expected;
    } cases[] = {{ZERO, 0, IMAPCONNECT_E_TRANSPORT},
                 {CODE, -1, IMAPCONNECT_E_TRANSPORT},
                 {CODE, INT32_MIN, IMAPCONNECT_E_TRANSPORT},
                 {CODE, IMAPCONNECT_PENDING, IMAPCONNECT_E_TRANSPORT},
                 {CODE, IMAPCONNECT_E_BUSY, IMAPCONNECT_E_TRANSPORT},
                 {CODE, IMAPCONNECT_CLOSED, IMAPCONNECT_CLOSED},
                 {CODE, IMAPCONNECT_E_RESET, IMAPCONNECT_E_RESET},
                 {CODE, IMAPCONNECT_E_MEMORY, IMAPCONNECT_E_MEMORY}};
    size_t i;
    int k, writing;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        for (writing = 0; writing < 2; writing++) {
            for (k = 1; k < 200; k++) {
                fake *f = new_fake(well);
                int code;

                f->read_size = f->write_size = 9;
                f->fail_kind = cases[i].kind;
                f->fail_code = cases[i].code;
                f->fail_read = writing ? 0 : k;
                f->fail_write = writing ? k : 0;
                code = go_in(f);
                if (code >= 0)
                    code = imapconnect_noop(&f->session, 0);
                if (code == 0) { /* the call that fails did not come any more */
                    assert_true(k > 3);
                    k = 1000;
                } else if (code != cases[i].expected) {
                    fail_msg("case %zu, call %d: %d, want %d", i, k, code, cases[i].expected);
                }
                if (code != 0) {
                    size_t used = f->used;

                    assert_int_equal(f->closes, 1);
                    assert_int_equal(imapconnect_is_open(&f->session), 0);
                    assert_int_equal(imapconnect_noop(&f->session, 0), code); /* it stays, and sends nothing */
                    assert_int_equal(imapconnect_disconnect(&f->session, 0), code);
                    assert_int_equal(f->used, used);
                }
                free_fake(f);
            }
            assert_true(k >= 1000);
        }
    }
}

/* What the library read, in place of what it sent. */
static int keep_bytes(void *user, int event, const char *bytes, size_t count)
{
    fake *f = user;

    (void)event;
    assert_true(f->used + count < sizeof f->sent);
    memcpy(f->sent + f->used, bytes, count);
    f->used += count;
    return 0;
}

/* More than was asked for cannot be true. It must not be believed: nothing is read or sent from behind a buffer. */
static void what_claims_too_much_is_cut(void **state)
{
    fake *f = new_fake(well);

    (void)state;
    f->fail_kind = TOO_MUCH;
    f->fail_read = 1;
    f->config.on_response = keep_bytes;
    assert_int_equal(go_in(f), IMAPCONNECT_E_GREETING);
    assert_int_equal(f->used, IMAPCONNECT_READ_SIZE + 1); /* as many "z" as were asked for, and then the "*" */
    assert_int_equal(strspn(f->sent, "z"), IMAPCONNECT_READ_SIZE);
    f->used = 0;
    free_fake(f);

    f = new_fake(well);
    f->fail_kind = TOO_MUCH;
    f->fail_write = 1;
    assert_int_equal(go_in(f), 5);
    assert_string_equal(f->sent, "a1 LOGIN \"joe\" \"pw\"\r\n");
    assert_int_equal(imapconnect_noop(&f->session, 0), 0);
    free_fake(f);
}

/* ---- open ---- */

static void an_open_that_takes_its_time(void **state)
{
    int mode;

    (void)state;
    for (mode = 0; mode < 2; mode++) {
        fake *f = new_fake(well);

        f->config.nonblocking = mode;
        f->open_wants = 5;
        assert_int_equal(go_in(f), 5);
        assert_int_equal(f->closes, 0);
        free_fake(f);
    }
}

/* It may be called again sooner than the limit ends, and not later. */
static void open_may_ask_to_be_called_soon(void **state)
{
    uint32_t milliseconds = 0;
    fake *f = new_fake(well);

    (void)state;
    f->open_wants = 3;
    f->open_lowers = 7;
    f->wait_takes = 0; /* all of it */
    assert_int_equal(go_in(f), 5);
    assert_true(f->longest_wait >= 7);
    assert_int_equal(f->now, 3 * 7);
    free_fake(f);

    f = new_fake(well);
    f->config.nonblocking = 1;
    f->open_wants = 1;
    f->open_lowers = 7;
    assert_int_equal(imapconnect_init(&f->session, &f->config), 0);
    assert_int_equal(imapconnect(&f->session, "h", "joe", "pw", 0, 0, 0, 0), IMAPCONNECT_PENDING);
    assert_int_equal(imapconnect_wants(&f->session, &milliseconds), IMAPCONNECT_WRITABLE);
    assert_int_equal(milliseconds, 7);
    free_fake(f);
}

static void connecting_has_its_limit(void **state)
{
    int mode;

    (void)state;
    for (mode = 0; mode < 2; mode++) {
        fake *f = new_fake(well);

        f->config.nonblocking = mode;
        f->config.timeout = 1000;
        f->open_wants = 1000000;
        assert_int_equal(go_in(f), IMAPCONNECT_E_CONNECT_TIMEOUT);
        assert_in_range(f->now, 1000, 1010);
        assert_int_equal(f->closes, 1);
        assert_string_equal(imapconnect_phase(&f->session), "connecting");
        free_fake(f);
    }
}

/* ---- time ---- */

/* The limit of each step as a whole; the clock may wrap at any time. */
static void silence_runs_into_the_limit(void **state)
{
    static const char *const greets[] = {0};
    static const char *const stops[] = {"* OK [CAPABILITY IMAP4rev1] hi\r\n", 0};
    static const char *const stops_later[] = {"* OK [CAPABILITY IMAP4rev1] hi\r\n", "a1 OK\r\n", 0};
    static const uint32_t starts[] = {0, 4294967295u, 4294967295u - 30000u, 4294967295u - 59999u, 2147483647u};
    size_t i;
    int mode;

    (void)state;
    for (i = 0; i < COUNT(starts); i++) {
        for (mode = 0; mode < 3; mode++) {
            fake *f = new_fake(greets);

            f->config.nonblocking = mode == 1;
            f->config.timeout = mode == 2 ? 250 : 0;
            f->now = starts[i];
            assert_int_equal(go_in(f), IMAPCONNECT_E_TIMEOUT);
            assert_in_range(f->now - starts[i], mode == 2 ? 250 : 60000, mode == 2 ? 260 : 60010);
            assert_string_equal(imapconnect_phase(&f->session), "greeting");
            free_fake(f);

            f = new_fake(stops);
            f->config.nonblocking = mode == 1;
            f->now = starts[i];
            assert_int_equal(go_in(f), IMAPCONNECT_E_TIMEOUT);
            assert_string_equal(imapconnect_phase(&f->session), "login");
            free_fake(f);

            f = new_fake(stops_later);
            f->config.nonblocking = mode == 1;
            f->now = starts[i];
            assert_int_equal(go_in(f), 5);
            f->now += 500000; /* between two calls no time runs */
            assert_int_equal(finish(f, imapconnect_noop(&f->session, 0)), IMAPCONNECT_E_TIMEOUT);
            assert_in_range(f->now - starts[i], 560000, 560050);
            assert_string_equal(imapconnect_phase(&f->session), "command");
            free_fake(f);
        }
    }
}

/* Bytes that drip do not extend a limit: lines before the login, nor a literal there. SPEC.md section 1, time-out. */
static void drips_before_the_login_do_not_help(void **state)
{
    static const char *const stops[] = {"* OK [CAPABILITY IMAP4rev1] hi\r\n", 0};
    static char text[4000];
    int kind, i;

    (void)state;
    for (kind = 0; kind < 2; kind++) {
        fake *f = new_fake(stops);

        strcpy(text, kind ? "* L {3000}\r\n" : "");
        for (i = 0; i < 300; i++)
            strcat(text, "* 1 E\r\n");
        f->drip = 1;
        f->drip_ms = 100;
        f->drip_text = text;
        assert_int_equal(go_in(f), IMAPCONNECT_E_TIMEOUT);
        assert_in_range(f->now, 60000, 60300);
        free_fake(f);
    }
}

static void count_literal(fake *f, size_t size)
{
    static char text[20000];
    size_t i;

    sprintf(text, "* L {%u}\r\n", (unsigned)size);
    i = strlen(text);
    memset(text + i, 'x', size);
    strcpy(text + i + size, "\r\na1 OK\r\n");
    f->drip_text = text;
}

/* After it the bytes of a literal extend it, and other bytes do not. */
static void literals_extend_the_limit(void **state)
{
    static const char *const stops[] = {"* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n", 0};
    static char lines[8000];
    fake *f = new_fake(stops);
    int i;

    (void)state;
    assert_int_equal(go_in(f), 5);
    f->drip = 1;
    f->drip_ms = 100;
    count_literal(f, 3000); /* 300 seconds */
    assert_int_equal(imapconnect_noop(&f->session, 0), 0);
    assert_true(f->now > 300000);
    free_fake(f);

    f = new_fake(stops);
    assert_int_equal(go_in(f), 5);
    f->drip = 1;
    f->drip_ms = 100;
    lines[0] = '\0';
    for (i = 0; i < 1000; i++)
        strcat(lines, "* 1 E\r\n");
    f->drip_text = lines;
    assert_int_equal(imapconnect_noop(&f->session, 0), IMAPCONNECT_E_TIMEOUT);
    assert_in_range(f->now, 60000, 60300);
    free_fake(f);

    f = new_fake(stops); /* and a pause in a literal is as long as the limit at most */
    assert_int_equal(go_in(f), 5);
    f->drip = 1;
    f->drip_ms = 100;
    f->drip_text = "* L {3000}\r\nxxxxx";
    assert_int_equal(imapconnect_noop(&f->session, 0), IMAPCONNECT_E_TIMEOUT);
    assert_in_range(f->now, 61000, 62000);
    free_fake(f);
}

/* Called at least once a second while a blocking call waits, and not zero cancels it. */
static void keep_going_is_asked(void **state)
{
    static const char *const greets[] = {0};
    fake *f = new_fake(greets);
    int k;

    (void)state;
    f->config.keep_going = keep_going;
    f->wait_takes = 0; /* each wait takes all the time that it may */
    assert_int_equal(go_in(f), IMAPCONNECT_E_TIMEOUT);
    assert_in_range(f->keeps, 60, 1000);
    assert_in_range(f->longest_unkept, 1, 1000);
    assert_in_range(f->longest_wait, 1, 1000);
    free_fake(f);

    f = new_fake(well); /* while connecting, too */
    f->config.keep_going = keep_going;
    f->wait_takes = 0;
    f->open_wants = 20;
    assert_int_equal(go_in(f), 5);
    assert_in_range(f->keeps, 20, 100);
    assert_in_range(f->longest_unkept, 1, 1000);
    free_fake(f);

    for (k = 1; k < 5; k++) {
        f = new_fake(greets);
        f->config.keep_going = keep_going;
        f->keep_cancels_at = k;
        assert_int_equal(go_in(f), IMAPCONNECT_E_CANCELLED);
        assert_int_equal(f->keeps, k);
        assert_int_equal(f->closes, 1);
        free_fake(f);
    }
}

/* A blocking wait never goes beyond the limit. */
static void waits_are_as_long_as_is_left(void **state)
{
    static const char *const greets[] = {0};
    fake *f = new_fake(greets);

    (void)state;
    f->config.timeout = 12345;
    f->wait_takes = 0;
    assert_int_equal(go_in(f), IMAPCONNECT_E_TIMEOUT);
    assert_int_equal(f->now, 12345);
    assert_int_equal(f->waits, 1);
    free_fake(f);
}

static int wait_answer;

static int wait_fails(void *context, int what, uint32_t milliseconds)
{
    (void)context;
    (void)what;
    (void)milliseconds;
    return wait_answer;
}

static void a_wait_that_fails(void **state)
{
    static const char *const greets[] = {0};
    static const int answers[][2] = {{-1, IMAPCONNECT_E_TRANSPORT},
                                     {IMAPCONNECT_WANT_READ, IMAPCONNECT_E_TRANSPORT},
                                     {IMAPCONNECT_E_RESET, IMAPCONNECT_E_RESET}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(answers); i++) {
        fake *f = new_fake(greets);

        f->config.transport.wait = wait_fails;
        wait_answer = answers[i][0];
        assert_int_equal(go_in(f), answers[i][1]);
        assert_int_equal(f->closes, 1);
        free_fake(f);
    }
}

/* A server that never lets a blocking call wait does not starve the watchdog. */
static void keep_going_is_asked_while_data_flows(void **state)
{
    static const char *const stops[] = {"* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n", 0};
    fake *f = new_fake(stops);

    (void)state;
    f->config.keep_going = keep_going;
    assert_int_equal(go_in(f), 5);
    f->keeps = 0;
    f->drip = 1;
    count_literal(f, 10000);
    assert_int_equal(imapconnect_noop(&f->session, 0), 0);
    assert_in_range(f->keeps, 20, 20000);
    free_fake(f);

    f = new_fake(stops);
    f->config.keep_going = keep_going;
    assert_int_equal(go_in(f), 5);
    f->keep_cancels_at = f->keeps + 3;
    f->drip = 1;
    count_literal(f, 10000);
    assert_int_equal(imapconnect_noop(&f->session, 0), IMAPCONNECT_E_CANCELLED);
    free_fake(f);
}

/* ---- non-blocking ---- */

static void a_step_says_what_it_waits_for(void **state)
{
    fake *f = new_fake(well);
    uint32_t milliseconds = 0;

    (void)state;
    f->config.nonblocking = 1;
    f->config.timeout = 1000;
    assert_int_equal(imapconnect_init(&f->session, &f->config), 0);
    assert_int_equal(imapconnect_socket(&f->session), -1);
    assert_int_equal(imapconnect_step(&f->session), IMAPCONNECT_E_NOT_OPEN);
    f->wants = 1;
    assert_int_equal(imapconnect(&f->session, "h", "joe", "pw", 0, 0, 0, 0), IMAPCONNECT_PENDING);
    assert_int_equal(imapconnect_wants(&f->session, &milliseconds), IMAPCONNECT_READABLE);
    assert_int_equal(milliseconds, 1000);
    f->now += 400;
    f->wants = 1000;
    f->wanted = 0;
    assert_int_equal(imapconnect_step(&f->session), IMAPCONNECT_PENDING);
    (void)imapconnect_wants(&f->session, &milliseconds);
    assert_int_equal(milliseconds, 600);
    (void)imapconnect_wants(&f->session, 0); /* the time need not be asked */
    f->wants = 0;
    f->write_size = 1;
    f->wanted = 0;
    assert_int_equal(finish(f, imapconnect_step(&f->session)), 5);
    assert_int_equal(imapconnect_socket(&f->session), 5);
    assert_int_equal(imapconnect_step(&f->session), 0); /* open, and no call in progress */
    free_fake(f);
}

/* What cannot be written yet makes the session wait for both: the server's BYE may come meanwhile. */
static void while_it_writes_it_also_reads(void **state)
{
    fake *f = new_fake(well);

    (void)state;
    f->config.nonblocking = 1;
    f->write_size = 3;
    assert_int_equal(go_in(f), 5);
    f->wants = 1000000;
    assert_int_equal(imapconnect_noop(&f->session, 0), IMAPCONNECT_PENDING);
    assert_int_equal(imapconnect_wants(&f->session, 0), IMAPCONNECT_READABLE | IMAPCONNECT_WRITABLE);
    free_fake(f);
}

/* A server that never stops does not keep a step for ever. */
static void a_step_ends(void **state)
{
    static const char *const stops[] = {"* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n", 0};
    fake *f = new_fake(stops);
    int before;
    uint32_t milliseconds = 1;

    (void)state;
    f->config.nonblocking = 1;
    assert_int_equal(go_in(f), 5);
    f->drip = 1;
    count_literal(f, 10000);
    assert_int_equal(imapconnect_noop(&f->session, 0), IMAPCONNECT_PENDING);
    before = f->reads;
    assert_int_equal(imapconnect_step(&f->session), IMAPCONNECT_PENDING);
    assert_in_range(f->reads - before, 1, 100);
    (void)imapconnect_wants(&f->session, &milliseconds);
    assert_int_equal(milliseconds, 0); /* call it again at once */
    assert_int_equal(finish(f, IMAPCONNECT_PENDING), 0);
    free_fake(f);
}

/* A second call while one is in progress is refused, and disturbs nothing. */
static void busy_disturbs_nothing(void **state)
{
    fake *f = new_fake(well);
    char text[200];
    imapconnect_list list;

    (void)state;
    imapconnect_list_init(&list, text, sizeof text);
    f->config.nonblocking = 1;
    f->wants = 2;
    assert_int_equal(imapconnect_init(&f->session, &f->config), 0);
    assert_int_equal(imapconnect(&f->session, "h", "joe", "pw", 0, &list, 0, 0), IMAPCONNECT_PENDING);
    assert_int_equal(imapconnect(&f->session, "g", "moe", "xx", 0, &list, 0, 0), IMAPCONNECT_E_BUSY);
    assert_int_equal(imapconnect_noop(&f->session, &list), IMAPCONNECT_E_BUSY);
    assert_int_equal(imapconnect_command(&f->session, "NOOP", &list), IMAPCONNECT_E_BUSY);
    assert_int_equal(imapconnect_disconnect(&f->session, &list), IMAPCONNECT_E_BUSY);
    assert_int_equal(finish(f, imapconnect_step(&f->session)), 5);
    assert_int_equal(list.count, 2);
    assert_int_equal(imapconnect_noop(&f->session, &list), IMAPCONNECT_PENDING);
    assert_int_equal(imapconnect_noop(&f->session, &list), IMAPCONNECT_E_BUSY);
    assert_int_equal(imapconnect(&f->session, "g", "moe", "xx", 0, &list, 0, 0), IMAPCONNECT_E_BUSY);
    assert_int_equal(finish(f, imapconnect_step(&f->session)), 0);
    assert_int_equal(list.count, 2);
    assert_int_equal(finish(f, imapconnect_disconnect(&f->session, 0)), 0);
    assert_string_equal(f->sent, all_sent);
    free_fake(f);
}

/* Closing ends a call in progress, whatever it waits for, and the session can be used again. */
static void closing_in_the_middle_of_a_call(void **state)
{
    int steps, i;

    (void)state;
    for (steps = 0; steps < 12; steps++) {
        fake *f = new_fake(well);
        size_t used;

        f->config.nonblocking = 1;
        f->open_wants = 2;
        f->wants = 1;
        f->write_size = 5;
        assert_int_equal(imapconnect_init(&f->session, &f->config), 0);
        assert_int_equal(imapconnect(&f->session, "h", "joe", "pw", 0, 0, 0, 0), IMAPCONNECT_PENDING);
        for (i = 0; i < steps; i++)
            (void)imapconnect_step(&f->session);
        used = f->used;
        imapconnect_close(&f->session);
        assert_int_equal(f->opens, f->closes);
        assert_int_equal(f->used, used);
        assert_int_equal(imapconnect_step(&f->session), IMAPCONNECT_E_NOT_OPEN);
        assert_int_equal(imapconnect_noop(&f->session, 0), IMAPCONNECT_E_NOT_OPEN);
        f->opens = f->closes = 0;
        f->answer = f->lines = f->at = f->used = 0;
        assert_int_equal(finish(f, imapconnect(&f->session, "h", "joe", "pw", 0, 0, 0, 0)), 5);
        free_fake(f);
    }
}

/* ---- what the room keeps ---- */

/* A code that is not fatal leaves the session open, and after one that is every call returns it: the third column of the
   table of codes. */
static void the_session_is_over_when_the_code_says_so(void **state)
{
    static const char *const replies[] = {
        "a2 OK\r\n",   "a2 NO x\r\n",   "a2 BAD x\r\n", "+ x\r\n",      "* BYE x\r\n",
        "a3 OK x\r\n", "a2 WHAT x\r\n", "\r\n",         "* L {5+}\r\n", ""};
    size_t i;
    int which;

    (void)state;
    for (which = 0; which < 2; which++) {
        for (i = 0; i < COUNT(replies); i++) {
            const char *answers[] = {well[0], well[1], replies[i], "a3 OK x\r\n", 0};
            fake *f = new_fake(answers);
            int code, next;

            assert_int_equal(go_in(f), 5);
            code =
                which ? imapconnect_command(&f->session, "STATUS x (UNSEEN)", 0) : imapconnect_noop(&f->session, 0);
            if (i == 0)
                assert_int_equal(code, 0);
            else
                assert_true(code < 0);
            next = imapconnect_noop(&f->session, 0);
            if (imapconnect_code_is_fatal(code) ? next != code || imapconnect_is_open(&f->session) : next != 0)
                fail_msg("call %d, reply %s: %d is%s fatal, and the next call returns %d", which, replies[i], code,
                         imapconnect_code_is_fatal(code) ? "" : " not", next);
            free_fake(f);
        }
    }
}

/* The end of the stream in a line, in a literal, or before the tagged reply. SECURITY.md section 3, 25. */
static void an_early_end_is_an_error(void **state)
{
    static const char *const replies[] = {"* 1 EX", "* 1 EXISTS\r\n", "* L {5}\r\nab", "a2 OK x", "a2 OK x\r"};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(replies); i++) {
        char reply[64];
        const char *answers[5];
        fake *f;

        strcpy(reply, replies[i]);
        answers[0] = well[0];
        answers[1] = well[1];
        answers[2] = reply;
        answers[3] = "";
        answers[4] = 0;
        f = new_fake(answers);
        assert_int_equal(go_in(f), 5);
        f->lines = 2; /* so that the end is there as soon as the reply was read */
        assert_int_equal(imapconnect_noop(&f->session, 0), IMAPCONNECT_CLOSED);
        assert_int_equal(f->closes, 1);
        free_fake(f);
    }
}

/* News that came between two calls is read by the next one; a tagged line then is no answer. */
static void what_came_between_two_calls(void **state)
{
    static const char *const news[] = {"* OK [CAPABILITY IMAP4rev1] hi\r\n", "a1 OK in\r\n* 3 EXISTS\r\n",
                                       "a2 OK x\r\n", 0};
    static const char *const forged[] = {"* OK [CAPABILITY IMAP4rev1] hi\r\n", "a1 OK in\r\na2 OK x\r\n", 0};
    char text[200];
    imapconnect_list list;
    fake *f = new_fake(news);

    (void)state;
    imapconnect_list_init(&list, text, sizeof text);
    assert_int_equal(go_in(f), 5);
    assert_int_equal(imapconnect_noop(&f->session, &list), 0);
    assert_string_equal(imapconnect_list_next(&list, 0), "* 3 EXISTS");
    free_fake(f);

    f = new_fake(forged);
    assert_int_equal(go_in(f), 5);
    f->used = 0;
    assert_int_equal(imapconnect_noop(&f->session, &list), IMAPCONNECT_E_TAG);
    assert_int_equal(f->used, 0);
    free_fake(f);
}

static void the_total_of_a_reply(void **state)
{
    fake *f = new_fake(well);

    (void)state;
    f->config.max_reply = 20; /* "* 3 EXISTS\r\na2 OK x\r\n" are 21 */
    assert_int_equal(go_in(f), 5);
    assert_int_equal(imapconnect_noop(&f->session, 0), IMAPCONNECT_E_LIMIT);
    free_fake(f);

    f = new_fake(well);
    f->config.max_reply = 21;
    assert_int_equal(go_in(f), 5);
    assert_int_equal(imapconnect_noop(&f->session, 0), 0);
    free_fake(f);
}

/* ---- waiting for news ---- */

static char heard[600];
static int news_stop_at, news_count;

static int on_news(void *user, int what, uint32_t number)
{
    size_t used = strlen(heard);

    (void)user;
    snprintf(heard + used, sizeof heard - used, "%d:%lu ", what, (unsigned long)number);
    return ++news_count == news_stop_at;
}

#define MOST_ROUNDS 30

/* What a server answers that has IDLE: to IDLE, to DONE, and so on; or to one NOOP after the other. */
static const char *const *answers_of(int idles)
{
    static char texts[2 * MOST_ROUNDS][24];
    static const char *all[2 * MOST_ROUNDS + 2];
    int i;

    all[0] = idles ? "* PREAUTH [CAPABILITY IMAP4rev1 IDLE] hi\r\n" : "* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n";
    for (i = 0; i < 2 * MOST_ROUNDS; i++) {
        if (idles && i % 2 == 0)
            strcpy(texts[i], "+ idling\r\n");
        else
            sprintf(texts[i], "a%d OK x\r\n", idles ? i / 2 + 1 : i + 1);
        all[i + 1] = texts[i];
    }
    all[i + 1] = 0;
    return all;
}

/* What it must have been sent. */
static const char *sent_by(int idles, int rounds)
{
    static char text[1000];
    size_t used = 0;
    int i;

    text[0] = '\0';
    for (i = 1; i <= rounds; i++)
        used += (size_t)sprintf(text + used, idles ? "a%d IDLE\r\nDONE\r\n" : "a%d NOOP\r\n", i);
    return text;
}

/* Modes: blocking, blocking in short waits, not blocking. */
enum { WHOLE, SHORT, STEPS, MODES };

static fake *new_idle(int idles, int mode, uint32_t start, const timed *when)
{
    fake *f = new_fake(answers_of(idles));

    heard[0] = '\0';
    news_stop_at = news_count = 0;
    f->now = start;
    f->config.nonblocking = mode == STEPS;
    assert_int_equal(go_in(f), 5);
    f->wait_takes = mode == SHORT ? 100 : 0; /* 0: all the time that it may take */
    f->start = f->now;
    f->timed = when;
    return f;
}

/* Steps to the end of a wait. The time that passes is what the session says, or less when something comes. */
static int finish_idle(fake *f, int code)
{
    int steps = 0;

    while (code == IMAPCONNECT_PENDING) {
        uint32_t milliseconds = 77777777;
        int wants = imapconnect_wants(&f->session, &milliseconds);

        assert_in_range(wants, milliseconds == 0 ? 0 : 1, 3);
        assert_in_range(milliseconds, 0, 480000);
        pass(f, f->wait_takes != 0 && f->wait_takes < milliseconds ? f->wait_takes : milliseconds);
        code = imapconnect_step(&f->session);
        assert_in_range(++steps, 1, 100000);
    }
    return code;
}

static int idle(fake *f, uint32_t milliseconds)
{
    return finish_idle(f, imapconnect_idle(&f->session, milliseconds, on_news, 0, 0));
}

/* A command behind the first one. */
static int noop_after(fake *f)
{
    static const char *const answers[] = {"", "a2 OK x\r\n", 0};

    f->answers = answers;
    f->answer = 1;
    f->lines = 0;
    return finish_idle(f, imapconnect_noop(&f->session, 0));
}

/* Without news it lasts as long as it was to last, to the millisecond; the clock may wrap at any time, and the limit of
   a command has nothing to say in it. */
static void a_wait_lasts_as_long_as_it_should(void **state)
{
    static const struct {
        uint32_t milliseconds;
        int rounds, noops;
    } cases[] = {{0, 1, 1},      {1, 1, 2},       {1000, 1, 2},    {59999, 1, 2},    {60000, 1, 2},   {60001, 1, 3},
                 {480000, 1, 9}, {480001, 2, 10}, {959999, 2, 17}, {1000000, 3, 18}, {1700000, 4, 30}};
    static const uint32_t starts[] = {0, 4294967295u, 4294967295u - 700u, 2147483647u};
    size_t i, k;
    int mode, idles;

    (void)state;
    for (idles = 0; idles < 2; idles++) {
        for (i = 0; i < COUNT(cases); i++) {
            for (k = 0; k < COUNT(starts); k++) {
                for (mode = 0; mode < MODES; mode++) {
                    fake *f = new_idle(idles, mode, starts[k], 0);
                    int code = idle(f, cases[i].milliseconds);

                    if (code != 0 || f->now - f->start != cases[i].milliseconds)
                        fail_msg("%lu ms, IDLE %d, mode %d: %d after %lu ms", (unsigned long)cases[i].milliseconds,
                                 idles, mode, code, (unsigned long)(f->now - f->start));
                    assert_string_equal(f->sent, sent_by(idles, idles ? cases[i].rounds : cases[i].noops));
                    assert_string_equal(imapconnect_phase(&f->session), "ready");
                    free_fake(f);
                }
            }
        }
    }
}

/* The configuration's intervals. */
static void a_wait_in_other_rounds(void **state)
{
    fake *f = new_idle(1, WHOLE, 0, 0);

    (void)state;
    f->session.config.idle_renew = 1000;
    assert_int_equal(idle(f, 4500), 0);
    assert_string_equal(f->sent, sent_by(1, 5));
    assert_int_equal(f->now, 4500);
    free_fake(f);

    f = new_idle(0, WHOLE, 0, 0);
    f->session.config.idle_poll = 250;
    assert_int_equal(idle(f, 1001), 0);
    assert_string_equal(f->sent, sent_by(0, 6));
    assert_int_equal(f->now, 1001);
    free_fake(f);

    f = new_idle(1, STEPS, 0, 0); /* the longest wait is not too long for a number */
    f->session.config.idle_renew = 4000000000u;
    assert_int_equal(imapconnect_idle(&f->session, 0xffffffffu, on_news, 0, 0), IMAPCONNECT_PENDING);
    while (f->session.engine.state != IMC_IDLE)
        assert_int_equal(imapconnect_step(&f->session), IMAPCONNECT_PENDING);
    f->now += 3999999999u;
    assert_int_equal(imapconnect_step(&f->session), IMAPCONNECT_PENDING);
    assert_string_equal(f->sent, "a1 IDLE\r\n");
    f->now += 1;
    assert_int_equal(imapconnect_step(&f->session), IMAPCONNECT_PENDING);
    assert_int_equal(imapconnect_step(&f->session), IMAPCONNECT_PENDING);
    assert_string_equal(f->sent, "a1 IDLE\r\nDONE\r\na2 IDLE\r\n");
    free_fake(f);
}

/* The first news ends the wait when nobody listens, and otherwise when whoever listens says so. */
static void news_in_a_wait(void **state)
{
    static const timed when[] = {{500, "* 3 EXISTS\r\n* 1 RECENT\r\n"},
                                 {700, "* 2 FETCH (FLAGS ())\r\n"},
                                 {700, "* OK still here\r\n"},
                                 {900, "* 1 EXPUNGE\r\n"},
                                 {0, 0}};
    int mode, idles;

    (void)state;
    for (idles = 0; idles < 2; idles++) {
        for (mode = 0; mode < MODES; mode++) {
            fake *f = new_idle(idles, mode, 4294967000u, when);

            assert_int_equal(finish_idle(f, imapconnect_idle(&f->session, 10000, 0, 0, 0)), 1);
            assert_int_equal(f->now - f->start, 500);
            free_fake(f);

            f = new_idle(idles, mode, 0, when);
            assert_int_equal(idle(f, 10000), 1);
            assert_string_equal(heard, "1:3 3:1 4:2 2:1 ");
            assert_int_equal(f->now - f->start, 10000);
            assert_string_equal(f->sent, sent_by(idles, idles ? 1 : 2));
            free_fake(f);

            f = new_idle(idles, mode, 0, when);
            news_stop_at = 3;
            assert_int_equal(idle(f, 10000), 1);
            assert_string_equal(heard, "1:3 3:1 4:2 ");
            assert_int_equal(f->now - f->start, 700);
            assert_int_equal(noop_after(f), 0); /* it is ready for the next one */
            free_fake(f);
        }
    }
}

/* What is there at the very end of a wait is news like any other. */
static void news_at_the_last_moment(void **state)
{
    static const timed when[] = {{1000, "* 3 EXISTS\r\n"}, {0, 0}};
    int mode, idles;

    (void)state;
    for (idles = 0; idles < 2; idles++) {
        for (mode = 0; mode < MODES; mode++) {
            fake *f = new_idle(idles, mode, 0, when);

            assert_int_equal(idle(f, 1000), 1);
            assert_string_equal(heard, "1:3 ");
            assert_int_equal(f->now - f->start, 1000);
            free_fake(f);
        }
    }
}

/* A server that never stops prolongs no wait, and does not make an error of its end. In a round that is renewed, too. */
static void a_flood_of_news(void **state)
{
    static const char *const floods[] = {"* 3 EXISTS\r\n", "* OK still here\r\n", "* 3 EXISTS\r\n",
                                         "* 3 FETCH (X {30}\r\n012345678901234567890123456789)\r\n"};
    int mode, idles;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(floods); i++) {
        for (idles = 0; idles < 2; idles++) {
            for (mode = 0; mode < MODES; mode++) {
                fake *f = new_idle(idles, mode, 4294966000u, 0);
                int code;

                f->session.config.idle_renew = f->session.config.idle_poll = 700;
                f->session.config.timeout = 300;
                f->flood = floods[i];
                f->flood_ms = 1;
                f->flood_piece = i >= 2; /* a byte at a time; those of a literal extend other limits */
                code = idle(f, 1000);
                if (code != (i != 1) || f->now - f->start < 1000 || f->now - f->start > 1070)
                    fail_msg("flood %zu, IDLE %d, mode %d: %d after %lu ms, '%s'", i, idles, mode, code,
                             (unsigned long)(f->now - f->start), f->sent);
                assert_string_equal(f->sent, sent_by(idles, idles ? 2 : 3));
                free_fake(f);
            }
        }
    }
}

/* One that says enough in the middle of a flood is obeyed. */
static void enough_in_a_flood(void **state)
{
    int mode, idles;

    (void)state;
    for (idles = 0; idles < 2; idles++) {
        for (mode = 0; mode < MODES; mode++) {
            fake *f = new_idle(idles, mode, 0, 0);

            f->flood = "* 3 EXISTS\r\n";
            f->flood_ms = 1;
            news_stop_at = 5;
            assert_int_equal(idle(f, 1000000), 1);
            assert_in_range(f->now - f->start, 4, 100);
            free_fake(f);
        }
    }
}

/* What the server must answer has the limit of a command: "+", DONE, NOOP. Silence is a dead link. */
static void a_dead_link_is_found(void **state)
{
    static const char *const no_plus[] = {"* PREAUTH [CAPABILITY IMAP4rev1 IDLE] hi\r\n", 0};
    static const char *const no_done[] = {"* PREAUTH [CAPABILITY IMAP4rev1 IDLE] hi\r\n", "+ idling\r\n", 0};
    static const char *const no_noop[] = {"* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n", "a1 OK x\r\n", 0};
    static const struct {
        const char *const *answers;
        uint32_t after; /* the beginning */
        const char *phase;
    } cases[] = {{no_plus, 60000, "command"}, {no_done, 540000, "command"}, {no_noop, 120000, "command"}};
    size_t i;
    int mode;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        for (mode = 0; mode < MODES; mode++) {
            fake *f = new_idle(0, mode, 0, 0);

            imapconnect_close(&f->session);
            f->opens = f->closes = 0;
            f->answers = cases[i].answers;
            f->answer = f->lines = f->used = 0;
            assert_int_equal(go_in(f), 5);
            f->start = f->now;
            assert_int_equal(idle(f, 3600000), IMAPCONNECT_E_TIMEOUT);
            assert_int_equal(f->now - f->start, cases[i].after);
            assert_string_equal(imapconnect_phase(&f->session), cases[i].phase);
            assert_int_equal(f->closes, 1);
            free_fake(f);
        }
    }
}

/* A wait that the server ends. */
static void the_end_of_the_stream_in_a_wait(void **state)
{
    static const timed gone[] = {{5000, ""}, {0, 0}};
    static const timed bye[] = {{5000, "* BYE too long\r\n"}, {0, 0}};
    int mode, idles;

    (void)state;
    for (idles = 0; idles < 2; idles++) {
        for (mode = 0; mode < MODES; mode++) {
            fake *f = new_idle(idles, mode, 0, gone);

            assert_int_equal(idle(f, 100000), IMAPCONNECT_CLOSED);
            assert_int_equal(f->now - f->start, 5000);
            free_fake(f);

            f = new_idle(idles, mode, 0, bye);
            assert_int_equal(idle(f, 100000), IMAPCONNECT_E_BYE);
            assert_string_equal(f->sent, idles ? "a1 IDLE\r\n" : "a1 NOOP\r\n");
            free_fake(f);
        }
    }
}

/* ---- who ends a wait ---- */

static int stop_in_keep(void *user)
{
    fake *f = user;

    if (++f->keeps == f->keep_cancels_at)
        imapconnect_idle_stop(&f->session);
    return 0;
}

static int stop_in_response(void *user, int event, const char *bytes, size_t count)
{
    fake *f = user;

    (void)bytes;
    (void)count;
    if (event == IMAPCONNECT_LINE_END && f->now - f->start >= 5000)
        imapconnect_idle_stop(&f->session);
    return 0;
}

static void stop_from_a_callback(void **state)
{
    static const timed noise[] = {{5000, "* OK still here\r\n"}, {0, 0}};
    int mode, idles, k;

    (void)state;
    for (idles = 0; idles < 2; idles++) {
        for (mode = 0; mode < MODES; mode++) {
            fake *f = new_idle(idles, mode, 0, noise);

            f->session.config.on_response = stop_in_response;
            assert_int_equal(idle(f, 10000000), 0); /* no news, but the end */
            assert_int_equal(f->now - f->start, 5000);
            assert_string_equal(f->sent, sent_by(idles, 1));
            free_fake(f);
        }
        for (k = 1; k < 20; k++) { /* at any call of keep_going: before the "+", in the wait */
            fake *f = new_idle(idles, WHOLE, 0, 0);

            f->session.config.keep_going = stop_in_keep;
            f->keep_cancels_at = k;
            assert_int_equal(idle(f, 10000000), 0);
            assert_in_range(f->now - f->start, 0, 20000);
            assert_string_equal(f->sent, sent_by(idles, 1));
            free_fake(f);
        }
    }
}

/* Between two steps, at any of them. */
static void stop_between_two_steps(void **state)
{
    int idles, k, i;

    (void)state;
    for (idles = 0; idles < 2; idles++) {
        for (k = 0; k < 12; k++) {
            fake *f = new_idle(idles, STEPS, 0, 0);
            int code = imapconnect_idle(&f->session, 3000000, on_news, 0, 0);

            f->wants = 1; /* a step is short */
            for (i = 0; i < k && code == IMAPCONNECT_PENDING; i++)
                code = imapconnect_step(&f->session);
            assert_int_equal(code, IMAPCONNECT_PENDING);
            imapconnect_idle_stop(&f->session);
            for (i = 0; i < 20 && code == IMAPCONNECT_PENDING; i++)
                code = imapconnect_step(&f->session); /* without waiting for anything */
            assert_int_equal(code, 0);
            assert_int_equal(f->now - f->start, 0);
            assert_string_equal(f->sent, sent_by(idles, 1));
            f->wants = 0;
            assert_int_equal(noop_after(f), 0);
            free_fake(f);
        }
    }
}

/* Without a wait it does nothing, and is not remembered. */
static void stop_without_a_wait(void **state)
{
    static imapconnect_session zeroed;
    fake *f = new_idle(1, WHOLE, 0, 0);

    (void)state;
    imapconnect_idle_stop(0);
    imapconnect_idle_stop(&zeroed);
    imapconnect_idle_stop(&f->session);
    assert_int_equal(idle(f, 1000), 0);
    assert_int_equal(f->now - f->start, 1000);
    imapconnect_idle_stop(&f->session);
    imapconnect_close(&f->session);
    imapconnect_idle_stop(&f->session);
    assert_int_equal(imapconnect_idle(&f->session, 1, 0, 0, 0), IMAPCONNECT_E_NOT_OPEN);
    free_fake(f);

    f = new_idle(0, STEPS, 0, 0); /* in the middle of another call */
    f->wants = 3;
    assert_int_equal(imapconnect_noop(&f->session, 0), IMAPCONNECT_PENDING);
    imapconnect_idle_stop(&f->session);
    assert_int_equal(finish(f, imapconnect_step(&f->session)), 0);
    assert_string_equal(f->sent, "a1 NOOP\r\n");
    free_fake(f);
}

/* ---- a wait and an event loop ---- */

static void what_a_wait_wants(void **state)
{
    fake *f = new_idle(1, STEPS, 0, 0);
    uint32_t milliseconds = 0;
    int i;

    (void)state;
    f->session.config.idle_renew = 10000;
    assert_int_equal(imapconnect_idle(&f->session, 25000, on_news, 0, 0), IMAPCONNECT_PENDING);
    for (i = 0; i < 5; i++)
        assert_int_equal(imapconnect_step(&f->session), IMAPCONNECT_PENDING);
    assert_int_equal(imapconnect_wants(&f->session, &milliseconds), IMAPCONNECT_READABLE);
    assert_int_equal(milliseconds, 10000); /* to the end of the round, and not of the limit of a command */
    assert_string_equal(imapconnect_phase(&f->session), "idle");
    assert_int_equal(imapconnect_is_open(&f->session), 1);
    assert_int_equal(imapconnect_noop(&f->session, 0), IMAPCONNECT_E_BUSY);
    f->now += 4000;
    assert_int_equal(imapconnect_step(&f->session), IMAPCONNECT_PENDING);
    assert_int_equal(imapconnect_wants(&f->session, &milliseconds), IMAPCONNECT_READABLE);
    assert_int_equal(milliseconds, 6000);
    assert_string_equal(f->sent, "a1 IDLE\r\n");
    f->now += 6000;
    for (i = 0; i < 5; i++)
        assert_int_equal(imapconnect_step(&f->session), IMAPCONNECT_PENDING);
    assert_string_equal(f->sent, "a1 IDLE\r\nDONE\r\na2 IDLE\r\n");
    assert_int_equal(imapconnect_wants(&f->session, &milliseconds), IMAPCONNECT_READABLE);
    assert_int_equal(milliseconds, 10000);
    assert_int_equal(finish_idle(f, IMAPCONNECT_PENDING), 0);
    assert_int_equal(f->now - f->start, 25000);
    free_fake(f);

    f = new_idle(0, STEPS, 0, 0); /* between two NOOPs */
    assert_int_equal(imapconnect_idle(&f->session, 100000, on_news, 0, 0), IMAPCONNECT_PENDING);
    for (i = 0; i < 5; i++)
        assert_int_equal(imapconnect_step(&f->session), IMAPCONNECT_PENDING);
    assert_int_equal(imapconnect_wants(&f->session, &milliseconds), IMAPCONNECT_READABLE);
    assert_int_equal(milliseconds, 60000);
    free_fake(f);
}

/* The watchdog is fed while it waits, and can end the session. */
static void keep_going_in_a_wait(void **state)
{
    int idles;

    (void)state;
    for (idles = 0; idles < 2; idles++) {
        fake *f = new_idle(idles, WHOLE, 0, 0);

        f->session.config.keep_going = keep_going;
        assert_int_equal(idle(f, 600000), 0);
        assert_in_range(f->keeps, 600, 10000);
        assert_in_range(f->longest_unkept, 1, 1000);
        free_fake(f);

        f = new_idle(idles, WHOLE, 0, 0);
        f->session.config.keep_going = keep_going;
        f->keep_cancels_at = 50;
        assert_int_equal(idle(f, 600000), IMAPCONNECT_E_CANCELLED);
        assert_int_equal(f->closes, 1);
        free_fake(f);
    }
}

/* Closing in a wait sends nothing. */
static void closing_in_a_wait(void **state)
{
    fake *f = new_idle(1, STEPS, 0, 0);
    int i;

    (void)state;
    assert_int_equal(imapconnect_idle(&f->session, 1000, on_news, 0, 0), IMAPCONNECT_PENDING);
    for (i = 0; i < 5; i++)
        assert_int_equal(imapconnect_step(&f->session), IMAPCONNECT_PENDING);
    imapconnect_close(&f->session);
    assert_string_equal(f->sent, "a1 IDLE\r\n");
    assert_int_equal(f->closes, 1);
    free_fake(f);
}

/* At every size of reads and writes, with would-block before everything: the same news, the same lines. */
static void every_pace_of_a_wait_gives_the_same(void **state)
{
    static const char *const answers[] = {"* OK [CAPABILITY IMAP4rev1] hi\r\n",
                                          "a1 OK in\r\n",
                                          "* CAPABILITY IMAP4rev1 IDLE\r\na2 OK x\r\n",
                                          "* 1 RECENT\r\n+ idling\r\n* 3 EXISTS\r\n",
                                          "* 7 FETCH (FLAGS (\\Seen))\r\na3 OK x\r\n",
                                          "+ idling\r\n",
                                          "* 2 EXPUNGE\r\na4 OK x\r\n",
                                          0};
    size_t read_size, write_size;
    int wants, mode;

    (void)state;
    for (mode = 0; mode < MODES; mode++) {
        for (wants = 0; wants < 3; wants++) {
            for (read_size = 0; read_size < 40; read_size = read_size < 4 ? read_size + 1 : read_size + 13) {
                for (write_size = 0; write_size < 12; write_size += 3) {
                    fake *f = new_fake(answers);

                    heard[0] = '\0';
                    news_stop_at = news_count = 0;
                    f->config.nonblocking = mode == STEPS;
                    f->config.idle_renew = 50000;
                    f->read_size = read_size;
                    f->write_size = write_size;
                    f->wants = wants;
                    f->wait_takes = mode == SHORT ? 100 : 40;
                    assert_int_equal(go_in(f), 5);
                    assert_int_equal(idle(f, 100000), 1);
                    assert_string_equal(heard, "3:1 1:3 4:7 2:2 ");
                    assert_string_equal(
                        f->sent,
                        "a1 LOGIN \"joe\" \"pw\"\r\na2 CAPABILITY\r\na3 IDLE\r\nDONE\r\na4 IDLE\r\nDONE\r\n");
                    free_fake(f);
                }
            }
        }
    }
}

/* ---- the limit of a command, and what extends it ---- */

static int rows_taken;

static int on_mailbox(void *user, const imapconnect_mailbox *row)
{
    (void)user;
    (void)row;
    rows_taken++;
    return 0;
}

static int on_uid(void *user, uint32_t uid)
{
    (void)user;
    (void)uid;
    rows_taken++;
    return 0;
}

/* A byte each 100 ms, for more than 60 seconds: rows that were asked for may take their time, other lines may not. */
static void rows_extend_the_limit(void **state)
{
    static const char *const stops[] = {"* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n", 0};
    static char text[8000];
    int kind, i;

    (void)state;
    for (kind = 0; kind < 4; kind++) {
        static const char *const rows[] = {"* LIST () \"/\" x\r\n", " 12345", "* LSUB () \"/\" x\r\n",
                                           "* 3 EXISTS\r\n"};
        fake *f = new_fake(stops);
        int code;

        text[0] = '\0';
        strcat(text, kind == 1 ? "* SEARCH" : "");
        for (i = 0; i < 200; i++)
            strcat(text, rows[kind]);
        strcat(text, kind == 1 ? "\r\na1 OK\r\n" : "a1 OK\r\n");
        assert_int_equal(go_in(f), 5);
        f->drip = 1;
        f->drip_ms = 100;
        f->drip_text = text;
        rows_taken = 0;
        if (kind == 1)
            code = imapconnect_search(&f->session, "ALL", 0, 0, on_uid, 0, 0);
        else
            code = imapconnect_list_mailboxes(&f->session, "", "*", on_mailbox, 0, 0);
        if (code != (kind < 2 ? 0 : IMAPCONNECT_E_TIMEOUT))
            fail_msg("kind %d: %d after %lu ms", kind, code, (unsigned long)f->now);
        assert_int_equal(rows_taken, kind < 2 ? 200 : 0);
        if (kind < 2)
            assert_true(f->now > 100000);
        else
            assert_in_range(f->now, 60000, 60300);
        free_fake(f);
    }
}

static int source(void *user, void *bytes, size_t count)
{
    (void)user;
    memset(bytes, 'm', count);
    return (int)count;
}

/* A message that is stored may take as long as its bytes leave, and not when they do not. */
static void bytes_that_leave_extend_the_limit(void **state)
{
    static const char *const answers[] = {"* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n", "+ go\r\n", "a1 OK x\r\n", 0};
    static const char *const pushes[] = {"* PREAUTH [CAPABILITY IMAP4rev1 LITERAL+] hi\r\n", "", "a1 OK x\r\n", 0};
    int kind, mode;

    (void)state;
    for (kind = 0; kind < 2; kind++) {
        for (mode = 0; mode < 2; mode++) {
            fake *f = new_fake(kind ? pushes : answers);

            f->config.nonblocking = mode;
            assert_int_equal(go_in(f), 5);
            if (kind)
                f->answer = 2; /* the answer to the line that ends the literal */
            f->write_size = 50;
            f->write_ms = 1000;
            assert_int_equal(finish(f, imapconnect_append(&f->session, "x", 0, 0, 5000, source, 0, 0)), 0);
            assert_true(f->now > 100000); /* 5,000 bytes, 50 a second */
            free_fake(f);

            f = new_fake(kind ? pushes : answers);
            f->config.nonblocking = mode;
            assert_int_equal(go_in(f), 5);
            if (kind)
                f->answer = 2;
            f->write_size = 50;
            f->write_stops = 20; /* and then nothing leaves any more */
            assert_int_equal(finish(f, imapconnect_append(&f->session, "x", 0, 0, 5000, source, 0, 0)),
                             IMAPCONNECT_E_TIMEOUT);
            assert_in_range(f->now, 60000, 61000);
            free_fake(f);
        }
    }
}

/* NO in the middle of what was announced: the rest of it leaves all the same, at any pace, and the session goes on. */
static void a_refusal_in_the_middle_of_an_upload(void **state)
{
    static const char *const answers[] = {"* PREAUTH [CAPABILITY IMAP4rev1 LITERAL+] hi\r\n",
                                          "a1 NO [OVERQUOTA] full\r\n* 3 EXISTS\r\n", "", "a2 OK x\r\n", 0};
    size_t write_size;
    int mode, wants;

    (void)state;
    for (mode = 0; mode < 2; mode++) {
        for (wants = 0; wants < 3; wants++) {
            for (write_size = 0; write_size < 600; write_size = write_size * 2 + 7) {
                fake *f = new_fake(answers);
                const char *tail;

                f->config.nonblocking = mode;
                assert_int_equal(go_in(f), 5);
                f->wants = wants;
                f->write_size = write_size;
                assert_int_equal(finish(f, imapconnect_append(&f->session, "x", 0, 0, 3000, source, 0, 0)),
                                 IMAPCONNECT_E_NO);
                assert_string_equal(imapconnect_response_code(&f->session), "OVERQUOTA");
                assert_int_equal(f->used, 23 + 3000 + 2);
                tail = f->sent + f->used;
                assert_memory_equal(tail - 4, "mm\r\n", 4);
                f->answer = 3;
                f->at = 0;
                assert_int_equal(finish(f, imapconnect_noop(&f->session, 0)), 0);
                assert_string_equal(tail, "a2 NOOP\r\n");
                free_fake(f);
            }
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_pace_gives_the_same),
    cmocka_unit_test(zero_and_unknown_numbers_end_the_session),
    cmocka_unit_test(what_claims_too_much_is_cut),
    cmocka_unit_test(an_open_that_takes_its_time),
    cmocka_unit_test(open_may_ask_to_be_called_soon),
    cmocka_unit_test(connecting_has_its_limit),
    cmocka_unit_test(silence_runs_into_the_limit),
    cmocka_unit_test(drips_before_the_login_do_not_help),
    cmocka_unit_test(literals_extend_the_limit),
    cmocka_unit_test(keep_going_is_asked),
    cmocka_unit_test(waits_are_as_long_as_is_left),
    cmocka_unit_test(a_wait_that_fails),
    cmocka_unit_test(keep_going_is_asked_while_data_flows),
    cmocka_unit_test(a_step_says_what_it_waits_for),
    cmocka_unit_test(while_it_writes_it_also_reads),
    cmocka_unit_test(a_step_ends),
    cmocka_unit_test(busy_disturbs_nothing),
    cmocka_unit_test(closing_in_the_middle_of_a_call),
    cmocka_unit_test(the_session_is_over_when_the_code_says_so),
    cmocka_unit_test(an_early_end_is_an_error),
    cmocka_unit_test(what_came_between_two_calls),
    cmocka_unit_test(the_total_of_a_reply),
    cmocka_unit_test(a_wait_lasts_as_long_as_it_should),
    cmocka_unit_test(a_wait_in_other_rounds),
    cmocka_unit_test(news_in_a_wait),
    cmocka_unit_test(news_at_the_last_moment),
    cmocka_unit_test(a_flood_of_news),
    cmocka_unit_test(enough_in_a_flood),
    cmocka_unit_test(a_dead_link_is_found),
    cmocka_unit_test(the_end_of_the_stream_in_a_wait),
    cmocka_unit_test(stop_from_a_callback),
    cmocka_unit_test(stop_between_two_steps),
    cmocka_unit_test(stop_without_a_wait),
    cmocka_unit_test(what_a_wait_wants),
    cmocka_unit_test(keep_going_in_a_wait),
    cmocka_unit_test(closing_in_a_wait),
    cmocka_unit_test(every_pace_of_a_wait_gives_the_same),
    cmocka_unit_test(rows_extend_the_limit),
    cmocka_unit_test(bytes_that_leave_extend_the_limit),
    cmocka_unit_test(a_refusal_in_the_middle_of_an_upload),
};
TEST_MAIN(tests)
