/* Room >>commands: a command into the transmit buffer in as many fillings as it takes, into the log with *** for
   what is secret, and out of memory once sent. What leaves is collected here, however little leaves at a time. */

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

#include "test.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct wire {
    imapconnect_config config;
    imapconnect_engine engine;
    char *sent; /* what left; "(+)" stands where a literal waited */
    size_t used, room;
    char log[4096];
    size_t log_used;
} wire;

static int on_log(void *user, int direction, const char *bytes, size_t count)
{
    wire *w = user;

    assert_int_equal(direction & ~IMAPCONNECT_LOG_MORE, IMAPCONNECT_LOG_SENT);
    assert_true(w->log_used + count + 2 < sizeof w->log);
    memcpy(w->log + w->log_used, bytes, count);
    w->log_used += count;
    if (!(direction & IMAPCONNECT_LOG_MORE))
        w->log[w->log_used++] = '|';
    w->log[w->log_used] = '\0';
    return 0;
}

static wire *new_wire(size_t room)
{
    wire *w = calloc(1, sizeof *w);

    assert_non_null(w);
    w->room = room;
    w->sent = malloc(room);
    assert_non_null(w->sent);
    w->config.user = w;
    w->engine.config = &w->config;
    w->engine.on_log = on_log;
    return w;
}

static void free_wire(wire *w)
{
    free(w->sent);
    free(w);
}

static void set_piece(wire *w, int at, int kind, const char *bytes, size_t count)
{
    w->engine.writer.piece[at].kind = kind;
    w->engine.writer.piece[at].bytes = bytes;
    w->engine.writer.piece[at].count = count;
}

static void leaves(wire *w, const char *bytes, size_t count)
{
    assert_true(w->used + count <= w->room);
    memcpy(w->sent + w->used, bytes, count);
    w->used += count;
}

/* 1 when the transmit buffer holds nothing but zeros. */
static int is_wiped(const imapconnect_writer *writer)
{
    size_t i;

    for (i = 0; i < sizeof writer->out; i++)
        if (writer->out[i] != 0)
            return 0;
    return 1;
}

/* Sends at most `step` bytes at a time, to the end of the command or to where a literal waits. */
static void drain(wire *w, size_t step)
{
    imapconnect_writer *writer = &w->engine.writer;

    while (!imc_commands_are_sent(writer)) {
        size_t count = (size_t)(writer->used - writer->sent);

        assert_in_range(count, 1, sizeof writer->out);
        count = count < step ? count : step;
        leaves(w, writer->out + writer->sent, count);
        imc_commands_sent(&w->engine, count);
    }
    assert_int_equal(writer->used, 0);
}

/* Sends a command, and answers each literal with "+". */
static void send_all(wire *w, int pieces, size_t step)
{
    imapconnect_writer *writer = &w->engine.writer;

    imc_commands_begin(&w->engine, pieces);
    drain(w, step);
    while (writer->waiting) {
        leaves(w, "(+)", 3);
        writer->waiting = 0;
        imc_commands_fill(&w->engine);
        drain(w, step);
    }
}

/* A login with these two, at every size of a write. */
static void check_login(const char *user, const char *password, const char *sent, const char *log)
{
    size_t step;

    for (step = 1; step <= 600; step = step < 20 ? step + 1 : step + 97) {
        wire *w = new_wire(4096);

        set_piece(w, 0, IMC_RAW, "LOGIN", 5);
        set_piece(w, 1, IMC_STRING, user, strlen(user));
        set_piece(w, 2, IMC_SECRET, password, strlen(password));
        send_all(w, 3, step);
        if (w->used != strlen(sent) || memcmp(w->sent, sent, w->used) != 0)
            fail_msg("sent '%.*s', want '%s'", (int)w->used, w->sent, sent);
        if (strcmp(w->log, log) != 0)
            fail_msg("log '%s', want '%s'", w->log, log);
        assert_true(password[0] == 0 || is_wiped(&w->engine.writer));
        free_wire(w);
    }
}

/* RFC 3501 section 9, quoted: only '"' and '\' are escaped. */
static void strings_are_quoted(void **state)
{
    (void)state;
    check_login("joe", "secret", "a1 LOGIN \"joe\" \"secret\"\r\n", "a1 LOGIN \"joe\" ***|");
    check_login("", "", "a1 LOGIN \"\" \"\"\r\n", "a1 LOGIN \"\" ***|");
    check_login("a\"b", "c\\d", "a1 LOGIN \"a\\\"b\" \"c\\\\d\"\r\n", "a1 LOGIN \"a\\\"b\" ***|");
    check_login("\\", "\"", "a1 LOGIN \"\\\\\" \"\\\"\"\r\n", "a1 LOGIN \"\\\\\" ***|");
    check_login("a b{3}(%*]", "x y", "a1 LOGIN \"a b{3}(%*]\" \"x y\"\r\n", "a1 LOGIN \"a b{3}(%*]\" ***|");
    check_login("\x01\t\x7f", "\x1f", "a1 LOGIN \"\x01\t\x7f\" \"\x1f\"\r\n", "a1 LOGIN \"\\x01\\x09\\x7f\" ***|");
}

/* RFC 3501 section 4.3: no byte of a literal leaves before "+". The log does not even say how long the secret is. */
static void eight_bit_strings_are_literals(void **state)
{
    (void)state;
    check_login("j\xc3\xb6", "secret", "a1 LOGIN {3}\r\n(+)j\xc3\xb6 \"secret\"\r\n",
                "a1 LOGIN {3}|j\\xc3\\xb6 ***|");
    check_login("joe", "p\xc3\xa4ss", "a1 LOGIN \"joe\" {5}\r\n(+)p\xc3\xa4ss\r\n", "a1 LOGIN \"joe\" ***|***|");
    check_login("\xff", "\x80", "a1 LOGIN {1}\r\n(+)\xff {1}\r\n(+)\x80\r\n", "a1 LOGIN {1}|\\xff ***|***|");
    check_login("\"\\\xff", "\"\\\xff", "a1 LOGIN {3}\r\n(+)\"\\\xff {3}\r\n(+)\"\\\xff\r\n",
                "a1 LOGIN {3}|\"\\\\xff ***|***|");
}

/* 255 quotes are 510 bytes and more than one filling of the buffer; 255 bytes are a literal of three digits. */
static void the_longest_arguments(void **state)
{
    static const char fill[] = {'"', '\\', 'x', '\xe4'};
    char argument[IMAPCONNECT_MAX_ARGUMENT + 1], sent[3000], log[3000];
    size_t kind, i;

    (void)state;
    for (kind = 0; kind < COUNT(fill); kind++) {
        size_t pair = 0, shown = 0;
        char one[1200], masked[1200];

        memset(argument, fill[kind], 255);
        argument[255] = '\0';
        for (i = 0; i < 255; i++) {
            if (kind < 2)
                one[pair++] = '\\';
            one[pair++] = fill[kind];
            shown += (size_t)sprintf(masked + shown,
                                     kind == 3   ? "\\x%02x"
                                     : kind == 2 ? "%c"
                                                 : "\\%c",
                                     (unsigned char)fill[kind]);
        }
        one[pair] = '\0';
        if (kind == 3) {
            sprintf(sent, "a1 LOGIN {255}\r\n(+)%s {255}\r\n(+)%s\r\n", one, one);
            sprintf(log, "a1 LOGIN {255}|%s ***|***|", masked);
        } else {
            sprintf(sent, "a1 LOGIN \"%s\" \"%s\"\r\n", one, one);
            sprintf(log, "a1 LOGIN \"%s\" ***|", masked);
        }
        check_login(argument, argument, sent, log);
    }
}

/* As long as a literal waits nothing of it is in the buffer, whatever has room there. */
static void nothing_of_a_literal_before_its_plus(void **state)
{
    wire *w = new_wire(100);
    imapconnect_writer *writer = &w->engine.writer;
    size_t i;

    (void)state;
    set_piece(w, 0, IMC_RAW, "LOGIN", 5);
    set_piece(w, 1, IMC_STRING, "joe", 3);
    set_piece(w, 2, IMC_SECRET, "Q\xc3\xa4Q", 4);
    imc_commands_begin(&w->engine, 3);
    assert_int_equal(writer->used, 20);
    assert_memory_equal(writer->out, "a1 LOGIN \"joe\" {4}\r\n", 20);
    for (i = 0; i < sizeof writer->out; i++)
        assert_int_not_equal(writer->out[i], 'Q');
    assert_false(imc_commands_are_sent(writer)); /* the header is still there */
    drain(w, 7);
    assert_true(imc_commands_are_sent(writer));
    assert_int_equal(writer->waiting, 1);
    for (i = 0; i < sizeof writer->out; i++)
        assert_int_not_equal(writer->out[i], 'Q');
    free_wire(w);
}

/* Once all of the buffer has left, and not only at the end of the command. */
static void secrets_are_wiped_once_sent(void **state)
{
    wire *w = new_wire(1200);
    imapconnect_writer *writer = &w->engine.writer;
    char password[256];

    (void)state;
    memset(password, '"', 255);
    password[255] = '\0';
    set_piece(w, 0, IMC_RAW, "LOGIN", 5);
    set_piece(w, 1, IMC_STRING, "joe", 3);
    set_piece(w, 2, IMC_SECRET, password, 255);
    imc_commands_begin(&w->engine, 3);
    assert_int_equal(writer->secret, 1);
    assert_false(imc_commands_are_sent(writer)); /* the second filling is to come */
    imc_commands_sent(&w->engine, (size_t)writer->used - 1);
    assert_false(is_wiped(writer));
    assert_int_equal(writer->secret, 1);
    imc_commands_sent(&w->engine, 1);
    assert_false(imc_commands_are_sent(writer));
    assert_true(writer->used < 100); /* the rest of it; nothing of the first filling behind it */
    {
        size_t i;

        for (i = writer->used; i < sizeof writer->out; i++)
            assert_int_equal(writer->out[i], 0);
    }
    imc_commands_sent(&w->engine, writer->used);
    assert_true(imc_commands_are_sent(writer));
    assert_true(is_wiped(writer));
    assert_int_equal(writer->secret, 0);
    free_wire(w);
}

/* A raw command is not copied as a whole: a million bytes go through the one buffer, byte for byte. */
static void a_raw_command_of_a_million_bytes(void **state)
{
    static const size_t steps[] = {1, 511, 512};
    char *text = malloc(1000000);
    size_t i;

    (void)state;
    assert_non_null(text);
    for (i = 0; i < 1000000; i++)
        text[i] = (char)(' ' + (i * 7 + i / 251) % 95);
    for (i = 0; i < COUNT(steps); i++) {
        wire *w = new_wire(1000005);

        w->engine.on_log = 0;
        set_piece(w, 0, IMC_RAW, text, 1000000);
        send_all(w, 1, steps[i]);
        assert_int_equal(w->used, 3 + 1000000 + 2);
        assert_memory_equal(w->sent, "a1 ", 3);
        assert_true(memcmp(w->sent + 3, text, 1000000) == 0);
        assert_memory_equal(w->sent + 3 + 1000000, "\r\n", 2);
        free_wire(w);
    }
    free(text);
}

/* Every length around the size of the buffer, with what ends the line on either side of its end. */
static void commands_around_the_size_of_the_buffer(void **state)
{
    char text[1200];
    size_t count;

    (void)state;
    memset(text, 'x', sizeof text);
    for (count = 1; count < 1100; count += count < 480 || count > 1050 ? 57 : 1) {
        wire *w = new_wire(1300);

        set_piece(w, 0, IMC_RAW, text, count);
        send_all(w, 1, 512);
        assert_int_equal(w->used, count + 5);
        assert_memory_equal(w->sent, "a1 ", 3);
        assert_memory_equal(w->sent + 3, text, count);
        assert_memory_equal(w->sent + 3 + count, "\r\n", 2);
        free_wire(w);
    }
}

/* The same with quoted strings, whose escapes must not be cut, and with the end of a literal. */
static void strings_around_the_size_of_the_buffer(void **state)
{
    static const char *const want[] = {" {3}\r\n(+)\"\x80\" \"s\\\"\\\\\"\r\n",
                                       " \"\\\"\\\\\\\"\\\\\" \"s\\\"\\\\\"\r\n"};
    size_t count, kind;

    (void)state;
    for (kind = 0; kind < 2; kind++) {
        for (count = 430; count < 520; count++) {
            char raw[600];
            wire *w = new_wire(1300);
            size_t at;

            memset(raw, 'r', count);
            set_piece(w, 0, IMC_RAW, raw, count);
            set_piece(w, 1, IMC_STRING, kind ? "\"\\\"\\" : "\"\x80\"", kind ? 4 : 3);
            set_piece(w, 2, IMC_SECRET, "s\"\\", 3);
            send_all(w, 3, 512);
            at = 3 + count;
            assert_int_equal(w->used - at, strlen(want[kind]));
            assert_memory_equal(w->sent + at, want[kind], w->used - at);
            free_wire(w);
        }
    }
}

/* A letter and a counter (SECURITY.md section 2): some servers refuse digits alone. */
static void tags_count(void **state)
{
    wire *w = new_wire(20000);
    int i;

    (void)state;
    for (i = 1; i < 1100; i++) {
        char expected[32];

        w->used = w->log_used = 0;
        set_piece(w, 0, IMC_RAW, "NOOP", 4);
        send_all(w, 1, 512);
        sprintf(expected, "a%d NOOP\r\n", i);
        assert_int_equal(w->used, strlen(expected));
        assert_memory_equal(w->sent, expected, w->used);
        expected[strlen(expected) - 7] = '\0';
        assert_string_equal(w->engine.reader.tag, expected);
    }
    w->engine.writer.counter = 4294967294u; /* the longest tag fits, with its NUL */
    w->used = w->log_used = 0;
    send_all(w, 1, 512);
    assert_string_equal(w->engine.reader.tag, "a4294967295");
    assert_int_equal(w->used, 18);
    assert_memory_equal(w->sent, "a4294967295 NOOP\r\n", 18);
    free_wire(w);
}

/* The log has the command once and whole, in pieces of the log's size. */
static void the_log_shows_what_is_no_secret(void **state)
{
    wire *w = new_wire(4096);
    char text[700], expected[720];

    (void)state;
    memset(text, 'x', sizeof text);
    set_piece(w, 0, IMC_RAW, text, sizeof text);
    send_all(w, 1, 3);
    sprintf(expected, "a1 %.700s|", text);
    assert_string_equal(w->log, expected);
    free_wire(w);
}

static void judge(const char *text, int expected)
{
    size_t count = strlen(text);
    char *exact = malloc(count > 0 ? count : 1);
    int code;

    assert_non_null(exact);
    memcpy(exact, text, count);
    code = imc_commands_check(exact, count);
    if (code != expected)
        fail_msg("'%s': %d, want %d", text, code, expected);
    free(exact);
}

/* DESIGN.md section 1: what would change the state of the session has a function of its own. */
static void commands_that_change_the_session_are_refused(void **state)
{
    static const char *const own[] = {"LOGIN",  "AUTHENTICATE", "UNAUTHENTICATE", "STARTTLS", "COMPRESS",
                                      "LOGOUT", "IDLE"};
    size_t i, k;

    (void)state;
    for (i = 0; i < COUNT(own); i++) {
        char text[64];

        judge(own[i], IMAPCONNECT_E_USE_FUNCTION);
        sprintf(text, "%s x", own[i]);
        judge(text, IMAPCONNECT_E_USE_FUNCTION);
        sprintf(text, "%s ", own[i]);
        judge(text, IMAPCONNECT_E_USE_FUNCTION);
        for (k = 0; k < strlen(own[i]); k += 2)
            text[k] = (char)(text[k] | 0x20);
        judge(text, IMAPCONNECT_E_USE_FUNCTION);
        sprintf(text, "%sX", own[i]);
        judge(text, 0);
        sprintf(text, "X%s", own[i]);
        judge(text, 0);
        sprintf(text, "UID %s", own[i]);
        judge(text, 0);
        sprintf(text, "%s", own[i]);
        text[strlen(text) - 1] = '\0';
        judge(text, 0);
    }
    judge("login x y", IMAPCONNECT_E_USE_FUNCTION);
    judge("LOGIN a {3}", IMAPCONNECT_E_USE_FUNCTION);
    judge("NOOP", 0);
    judge("SEARCH UNSEEN", 0);
    judge("SEARCH SUBJECT LOGIN", 0);
}

static void texts_that_end_in_a_size_are_refused(void **state)
{
    (void)state;
    judge("{5}", IMAPCONNECT_E_LITERAL);
    judge("{5+}", IMAPCONNECT_E_LITERAL);
    judge("~{5}", IMAPCONNECT_E_LITERAL);
    judge("~{5+}", IMAPCONNECT_E_LITERAL);
    judge("APPEND x {5}", IMAPCONNECT_E_LITERAL);
    judge("APPEND x {0}", IMAPCONNECT_E_LITERAL);
    judge("APPEND x {99999999999999999999}", IMAPCONNECT_E_LITERAL);
    judge("APPEND x{5}", IMAPCONNECT_E_LITERAL);
    judge("x {5}{6}", IMAPCONNECT_E_LITERAL);
    judge("{}", 0);
    judge("x {}", 0);
    judge("x{5} ", 0);
    judge("\"{5}\"", 0);
    judge("x {a}", 0);
    judge("x {5a}", 0);
    judge("x 5}", 0);
    judge("x {5", 0);
    judge("}", 0);
    judge("5}", 0);
    judge("x {5}y", 0);
}

static void what_is_no_line_is_refused(void **state)
{
    (void)state;
    judge("", IMAPCONNECT_E_VALUE);
    judge(" ", IMAPCONNECT_E_VALUE);
    judge(" NOOP", IMAPCONNECT_E_VALUE);
    judge("NOOP\r\na9 LOGOUT", IMAPCONNECT_E_VALUE);
    judge("NOOP\r", IMAPCONNECT_E_VALUE);
    judge("NOOP\n", IMAPCONNECT_E_VALUE);
    judge("\n", IMAPCONNECT_E_VALUE);
    judge("LOGIN x\r\n", IMAPCONNECT_E_VALUE);
    judge("SEARCH CHARSET UTF-8 TEXT \"\xc3\xa4\"", 0);
}

static void lines_and_ascii(void **state)
{
    int c;

    (void)state;
    for (c = 1; c < 256; c++) {
        char text[3] = "x";

        text[1] = (char)c;
        assert_int_equal(imc_commands_is_line(text, 2), c != '\r' && c != '\n');
        assert_int_equal(imc_commands_is_ascii(text, 2), c < 0x80);
    }
    assert_true(imc_commands_is_line("", 0) && imc_commands_is_ascii("", 0));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(strings_are_quoted),
    cmocka_unit_test(eight_bit_strings_are_literals),
    cmocka_unit_test(the_longest_arguments),
    cmocka_unit_test(nothing_of_a_literal_before_its_plus),
    cmocka_unit_test(secrets_are_wiped_once_sent),
    cmocka_unit_test(a_raw_command_of_a_million_bytes),
    cmocka_unit_test(commands_around_the_size_of_the_buffer),
    cmocka_unit_test(strings_around_the_size_of_the_buffer),
    cmocka_unit_test(tags_count),
    cmocka_unit_test(the_log_shows_what_is_no_secret),
    cmocka_unit_test(commands_that_change_the_session_are_refused),
    cmocka_unit_test(texts_that_end_in_a_size_are_refused),
    cmocka_unit_test(what_is_no_line_is_refused),
    cmocka_unit_test(lines_and_ascii),
};
TEST_MAIN(tests)
