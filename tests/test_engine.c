/* Room >>engine: what each state does with each kind of line. The table is written from SPEC.md section 3 and 4 and
   SECURITY.md section 3, not from the one in the engine. Lines go in as bytes, and what would leave is collected. */

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

#include "test.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct run {
    imapconnect_config config;
    imapconnect_engine engine;
    char sent[2048];
    size_t used;
    int restarts;
} run;

static int on_response(void *user, int event, const char *bytes, size_t count)
{
    (void)bytes;
    (void)count;
    ((run *)user)->restarts += event == IMAPCONNECT_RESTART;
    return 0;
}

static void begin(run *r, int secure, const char *password)
{
    memset(r, 0, sizeof *r);
    r->config.user = r;
    r->config.on_response = on_response;
    r->engine.config = &r->config;
    r->engine.secure = (uint8_t)secure;
    r->engine.username = "joe";
    r->engine.password = password;
    r->engine.state = IMC_GREETING;
    r->engine.encrypted = secure == IMAPCONNECT_TLS;
}

/* All that the engine has for the server leaves. */
static void pump(run *r)
{
    imapconnect_writer *writer = &r->engine.writer;

    while (writer->sent < writer->used) {
        size_t count = (size_t)(writer->used - writer->sent);

        assert_true(r->used + count < sizeof r->sent);
        memcpy(r->sent + r->used, writer->out + writer->sent, count);
        r->used += count;
        r->sent[r->used] = '\0';
        imc_commands_sent(&r->engine, count);
    }
}

/* Gives bytes to the engine, in memory of their size; returns how many it took. */
static size_t take(run *r, const char *bytes, size_t count)
{
    char *exact = malloc(count > 0 ? count : 1);
    const char *at = exact;
    size_t taken;

    assert_non_null(exact);
    memcpy(exact, bytes, count);
    imc_engine_take(&r->engine, &at, exact + count);
    taken = (size_t)(at - exact);
    free(exact);
    return taken;
}

/* One line; '%' stands for the tag of the command outstanding. */
static void say(run *r, const char *line)
{
    char text[600];
    size_t used = 0;

    for (; *line != '\0'; line++) {
        if (*line == '%')
            used += (size_t)sprintf(text + used, "%s", r->engine.reader.tag[0] ? r->engine.reader.tag : "a1");
        else
            text[used++] = *line;
    }
    memcpy(text + used, "\r\n", 2);
    (void)take(r, text, used + 2);
}

/* What came of it, in a few words. */
static const char *outcome(run *r, int state_before)
{
    static char text[700];

    pump(r);
    if (r->engine.error != 0)
        sprintf(text, "%d", r->engine.error);
    else if (r->engine.done)
        sprintf(text, "done %d", r->engine.result);
    else if (r->engine.state == IMC_SECURING)
        sprintf(text, "secure");
    else if (r->used != 0)
        sprintf(text, "> %.*s", (int)(r->used - 2), r->sent);
    else
        sprintf(text, r->engine.state == state_before ? "-" : "another state");
    return text;
}

/* ---- the table ---- */

static const char *const events[] = {"* OK x",
                                     "* NO x",
                                     "* BAD x",
                                     "* BYE x",
                                     "* PREAUTH x",
                                     "* CAPABILITY IMAP4rev1",
                                     "* 3 EXISTS",
                                     "+ x",
                                     "% OK x",
                                     "% NO x",
                                     "% BAD x",
                                     "a99 OK x",
                                     ""};

enum { NOTHING, NOOP, TEXT, LOGOUT };

typedef struct row {
    const char *name;
    int secure;
    const char *password;
    const char *before[4]; /* the server's lines that lead there */
    int command;           /* what is called then */
    const char *expected[COUNT(events)];
} row;

#define LOGIN_1 "> a1 LOGIN \"joe\" \"pw\""
#define LOGIN_2 "> a2 LOGIN \"joe\" \"pw\""

/* Columns: untagged OK, NO, BAD, BYE, PREAUTH, CAPABILITY, data; "+"; our tag with OK, NO, BAD; another tag; an empty
   line. */
static const row table[] = {
    {"greeting",
     0,
     "pw",
     {0},
     NOTHING,
     {"> a1 CAPABILITY", "-1262", "-1262", "-1263", "> a1 CAPABILITY", "-1262", "-1262", "-1262", "-1262", "-1262",
      "-1262", "-1262", "-1262"}},
    {"greeting with STARTTLS to come",
     2,
     "pw",
     {0},
     NOTHING,
     {"> a1 CAPABILITY", "-1262", "-1262", "-1263", "-1406", "-1262", "-1262", "-1262", "-1262", "-1262", "-1262",
      "-1262", "-1262"}},
    {"greeting inside TLS",
     1,
     "pw",
     {0},
     NOTHING,
     {"> a1 CAPABILITY", "-1262", "-1262", "-1263", "> a1 CAPABILITY", "-1262", "-1262", "-1262", "-1262", "-1262",
      "-1262", "-1262", "-1262"}},
    {"CAPABILITY",
     0,
     "pw",
     {"* OK hi"},
     NOTHING,
     {"-", "-", "-", "-1416", "-", "-", "-", "-1266", "-1266", "-1266", "-1266", "-1261", "-1260"}},
    {"CAPABILITY with its line",
     0,
     "pw",
     {"* OK hi", "* CAPABILITY IMAP4rev1"},
     NOTHING,
     {"-", "-", "-", "-1416", "-", "-", "-", "-1266", LOGIN_2, "-1266", "-1266", "-1261", "-1260"}},
    {"CAPABILITY after PREAUTH",
     0,
     "pw",
     {"* PREAUTH hi", "* CAPABILITY IMAP4rev1"},
     NOTHING,
     {"-", "-", "-", "-1416", "-", "-", "-", "-1266", "done 0", "-1266", "-1266", "-1261", "-1260"}},
    {"STARTTLS",
     2,
     "pw",
     {"* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=CRAM-MD5] hi"},
     NOTHING,
     {"-", "-", "-", "-1416", "-", "-", "-", "-1268", "secure", "-1268", "-1268", "-1261", "-1260"}},
    {"AUTHENTICATE",
     0,
     "pw",
     {"* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hi"},
     NOTHING,
     {"-", "-", "-", "-1416", "-", "-", "-", "> *", "-1274", LOGIN_2, LOGIN_2, "-1261", "-1260"}},
    {"AUTHENTICATE and no LOGIN",
     0,
     "pw",
     {"* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5 LOGINDISABLED] hi"},
     NOTHING,
     {"-", "-", "-", "-1416", "-", "-", "-", "> *", "-1274", "-1270", "-1274", "-1261", "-1260"}},
    {"the challenge is answered",
     0,
     "pw",
     {"* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hi", "+ PDEuMkB4Pg=="},
     NOTHING,
     {"-", "-", "-", "-1416", "-", "-", "-", "> *", "done 0", LOGIN_2, LOGIN_2, "-1261", "-1260"}},
    {"the challenge is answered and no LOGIN",
     0,
     "pw",
     {"* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5 LOGINDISABLED] hi", "+ PDEuMkB4Pg=="},
     NOTHING,
     {"-", "-", "-", "-1416", "-", "-", "-", "> *", "done 0", "-1270", "-1274", "-1261", "-1260"}},
    {"a challenge that was no base64",
     0,
     "pw",
     {"* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hi", "+ x"},
     NOTHING,
     {"-", "-", "-", "-1416", "-", "-", "-", "-1274", "-1274", LOGIN_2, LOGIN_2, "-1261", "-1260"}},
    {"a challenge that was no base64 and no LOGIN",
     0,
     "pw",
     {"* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5 LOGINDISABLED] hi", "+ x"},
     NOTHING,
     {"-", "-", "-", "-1416", "-", "-", "-", "-1274", "-1274", "-1275", "-1275", "-1261", "-1260"}},
    {"a second challenge and no LOGIN",
     0,
     "pw",
     {"* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5 LOGINDISABLED] hi", "+ PDEuMkB4Pg==", "+ PDEuMkB4Pg=="},
     NOTHING,
     {"-", "-", "-", "-1416", "-", "-", "-", "-1274", "-1274", "-1274", "-1274", "-1261", "-1260"}},
    {"an empty challenge and no LOGIN",
     0,
     "pw",
     {"* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5 LOGINDISABLED] hi", "+"},
     NOTHING,
     {"-", "-", "-", "-1416", "-", "-", "-", "-1274", "-1274", "-1274", "-1274", "-1261", "-1260"}},
    {"LOGIN",
     0,
     "pw",
     {"* OK [CAPABILITY IMAP4rev1] hi"},
     NOTHING,
     {"-", "-", "-", "-1416", "-", "-", "-", "-1271", "done 0", "-1270", "-1271", "-1261", "-1260"}},
    {"LOGIN after CRAM-MD5",
     0,
     "pw",
     {"* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hi", "% NO"},
     NOTHING,
     {"-", "-", "-", "-1416", "-", "-", "-", "-1271", "done 0", "-1270", "-1271", "-1261", "-1260"}},
    {"LOGIN with a literal that waits",
     0,
     "p\xe4",
     {"* OK [CAPABILITY IMAP4rev1] hi"},
     NOTHING,
     {"-", "-", "-", "-1416", "-", "-", "-", "> p\xe4", "-1271", "-1270", "-1271", "-1261", "-1260"}},
    {"LOGIN with a literal that has left",
     0,
     "p\xe4",
     {"* OK [CAPABILITY IMAP4rev1] hi", "+"},
     NOTHING,
     {"-", "-", "-", "-1416", "-", "-", "-", "-1271", "done 0", "-1270", "-1271", "-1261", "-1260"}},
    {"NOOP",
     0,
     "pw",
     {"* PREAUTH [CAPABILITY IMAP4rev1] hi"},
     NOOP,
     {"-", "-", "-", "-1416", "-", "-", "-", "-1260", "done 0", "done -1301", "done -1301", "-1261", "-1260"}},
    {"a command as text",
     0,
     "pw",
     {"* PREAUTH [CAPABILITY IMAP4rev1] hi"},
     TEXT,
     {"-", "-", "-", "-1416", "-", "-", "-", "-1260", "done 0", "done -1414", "done -1415", "-1261", "-1260"}},
    {"LOGOUT",
     0,
     "pw",
     {"* PREAUTH [CAPABILITY IMAP4rev1] hi"},
     LOGOUT,
     {"-", "-", "-", "-", "-", "-", "-", "-1272", "done 0", "done -1272", "done -1272", "-1261", "-1260"}},
};

static void call(run *r, int command)
{
    static const struct imc_command *const commands[] = {0, &imc_engine_noop, &imc_engine_text, &imc_engine_logout};
    static const char *const texts[] = {0, "NOOP", "STATUS x (UNSEEN)", "LOGOUT"};

    if (command == NOTHING)
        return;
    assert_int_equal(r->engine.done, 1);
    imc_engine_call(&r->engine, commands[command], 0);
    imc_engine_send_word(&r->engine, commands[command]->state, texts[command]);
}

/* Leads the engine to the state of the row; the last command has not left yet. */
static void lead(run *r, const row *wanted)
{
    size_t i;

    begin(r, wanted->secure, wanted->password);
    for (i = 0; i < COUNT(wanted->before) && wanted->before[i] != 0; i++) {
        pump(r);
        say(r, wanted->before[i]);
    }
    call(r, wanted->command);
    assert_int_equal(r->engine.error, 0);
}

static void every_line_in_every_state(void **state)
{
    size_t i, k;

    (void)state;
    for (i = 0; i < COUNT(table); i++) {
        for (k = 0; k < COUNT(events); k++) {
            run r;
            const char *got;
            int before;

            lead(&r, &table[i]);
            pump(&r);
            r.used = 0;
            before = r.engine.state;
            say(&r, events[k]);
            got = outcome(&r, before);
            if (strcmp(got, table[i].expected[k]) != 0)
                fail_msg("%s: '%s' gives '%s', want '%s'", table[i].name, events[k], got, table[i].expected[k]);
        }
    }
}

/* In the middle of an exchange it is that command which went wrong. */
static int early_code(const row *wanted, int is_plus)
{
    if (strstr(wanted->name, "challenge") != 0)
        return -1274;
    if (strstr(wanted->name, "literal") != 0)
        return -1271;
    return is_plus ? -1260 : -1261;
}

/* SECURITY.md section 3, 3 and CVE-2026-42246: an answer to a command that has not left whole is none. One byte of it
   is still to be sent. */
static void answers_come_after_the_command(void **state)
{
    static const char *const answers[] = {"% OK x", "% NO x", "% BAD x", "+ x"};
    size_t i, k;

    (void)state;
    for (i = 0; i < COUNT(table); i++) {
        for (k = 0; k < COUNT(answers); k++) {
            run r;

            lead(&r, &table[i]);
            if (r.engine.writer.used < 2)
                break; /* nothing is to be sent in this row */
            imc_commands_sent(&r.engine, (size_t)r.engine.writer.used - 1);
            say(&r, answers[k]);
            if (r.engine.error != early_code(&table[i], k == 3))
                fail_msg("%s: early '%s' gives %d", table[i].name, answers[k], r.engine.error);
            assert_int_equal(r.engine.done, 0);
        }
        assert_true(k == 0 || i > 2); /* of the greetings alone */
    }
}

/* BYE is part of the answer to a LOGOUT that has left, and not of one that has not. */
static void a_bye_before_the_logout(void **state)
{
    run r;

    (void)state;
    lead(&r, &table[COUNT(table) - 1]);
    say(&r, "* BYE x");
    assert_int_equal(r.engine.error, IMAPCONNECT_E_BYE);
}

/* SECURITY.md section 3, 29: what has not left yet must not change, whatever arrives. */
static void a_challenge_does_not_touch_what_is_to_be_sent(void **state)
{
    run r;

    (void)state;
    begin(&r, 0, "pw");
    say(&r, "* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hi");
    assert_int_equal(take(&r, "+ QUJDREVGR0hJSktMTU5P", 22), 22); /* not the whole line, and too early */
    pump(&r);
    assert_string_equal(r.sent, "a1 AUTHENTICATE CRAM-MD5\r\n");
}

/* ---- decisions ---- */

static void expect_after_greeting(int secure, int refuse, const char *greeting, const char *expected)
{
    run r;
    const char *got;

    begin(&r, secure, "pw");
    r.config.refuse_cleartext = refuse;
    say(&r, greeting);
    got = outcome(&r, IMC_GREETING);
    if (strcmp(got, expected) != 0)
        fail_msg("secure %d, refuse %d, %s: '%s', want '%s'", secure, refuse, greeting, got, expected);
}

static void what_follows_from_the_capabilities(void **state)
{
    (void)state;
    expect_after_greeting(0, 0, "* OK hi", "> a1 CAPABILITY");
    expect_after_greeting(0, 0, "* OK", "> a1 CAPABILITY");
    expect_after_greeting(0, 0, "* OK [CAPABILITY] hi", "> a1 CAPABILITY");
    expect_after_greeting(0, 0, "* OK [CAPABILITY X] hi", "-1267");
    expect_after_greeting(0, 0, "* OK [CAPABILITY IMAP4rev2] hi", "-1267"); /* it alone is not enough */
    expect_after_greeting(0, 0, "* OK [CAPABILITY IMAP4rev1] hi", LOGIN_1);
    expect_after_greeting(0, 0, "* OK [CAPABILITY imap4REV1] hi", LOGIN_1);
    expect_after_greeting(0, 0, "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi", "-1264");
    expect_after_greeting(0, 0, "* OK [CAPABILITY IMAP4rev1 loginDisabled] hi", "-1264");
    expect_after_greeting(0, 0, "* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hi", "> a1 AUTHENTICATE CRAM-MD5");
    expect_after_greeting(0, 0, "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=CRAM-MD5X] hi", LOGIN_1);
    expect_after_greeting(0, 0, "* OK [CAPABILITY IMAP4rev1 STARTTLS] hi", LOGIN_1);
    expect_after_greeting(1, 0, "* OK [CAPABILITY IMAP4rev1 STARTTLS] hi", LOGIN_1);
    expect_after_greeting(2, 0, "* OK [CAPABILITY IMAP4rev1 STARTTLS] hi", "> a1 STARTTLS");
    expect_after_greeting(2, 0, "* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hi", "-1265");
    expect_after_greeting(2, 0, "* OK [CAPABILITY STARTTLS] hi", "-1267");
    expect_after_greeting(2, 0, "* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] hi", "-1406");
    expect_after_greeting(0, 0, "* PREAUTH [CAPABILITY IMAP4rev1] hi", "done 0");
    expect_after_greeting(1, 0, "* PREAUTH [CAPABILITY IMAP4rev1] hi", "done 0");
    expect_after_greeting(0, 0, "* PREAUTH [CAPABILITY X] hi", "-1267");
    expect_after_greeting(0, 1, "* OK [CAPABILITY IMAP4rev1] hi", "-1413");
    expect_after_greeting(0, 1, "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi", "-1264");
    expect_after_greeting(0, 1, "* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hi", "> a1 AUTHENTICATE CRAM-MD5");
    expect_after_greeting(1, 1, "* OK [CAPABILITY IMAP4rev1] hi", LOGIN_1);
}

/* One forged NO must not bring the password out in clear text. */
static void the_refusal_stops_the_fall_back(void **state)
{
    run r;

    (void)state;
    begin(&r, 0, "pw");
    r.config.refuse_cleartext = 1;
    say(&r, "* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hi");
    pump(&r);
    r.used = 0;
    say(&r, "% NO");
    assert_string_equal(outcome(&r, 0), "-1413");
    assert_int_equal(r.used, 0);
}

/* SPEC.md section 4, capabilities: the last line that has an atom counts, while our CAPABILITY is outstanding and has
   left; and a line at another time does not. */
static void which_list_counts(void **state)
{
    run r;

    (void)state;
    begin(&r, 0, "pw");
    say(&r, "* OK hi");
    say(&r, "* CAPABILITY IMAP4rev1 AUTH=CRAM-MD5"); /* the command has not left */
    pump(&r);
    say(&r, "% OK x");
    assert_string_equal(outcome(&r, 0), "-1266");

    begin(&r, 0, "pw");
    say(&r, "* OK hi");
    pump(&r);
    r.used = 0;
    say(&r, "* CAPABILITY IMAP4rev1 AUTH=CRAM-MD5");
    say(&r, "* CAPABILITY IMAP4rev1 LOGINDISABLED");
    say(&r, "* CAPABILITY");
    say(&r, "% OK x");
    assert_string_equal(outcome(&r, 0), "-1264");

    begin(&r, 0, "pw");
    say(&r, "* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hi");
    pump(&r);
    r.used = 0;
    say(&r, "* CAPABILITY IMAP4rev1 LOGINDISABLED"); /* during a login it decides nothing */
    say(&r, "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] x");
    say(&r, "% NO [CAPABILITY IMAP4rev1 LOGINDISABLED] x");
    assert_string_equal(outcome(&r, 0), LOGIN_2);

    begin(&r, 2, "pw");
    say(&r, "* OK [CAPABILITY IMAP4rev1 STARTTLS] hi");
    pump(&r);
    say(&r, "* CAPABILITY IMAP4rev1");
    say(&r, "% OK x");
    assert_string_equal(outcome(&r, 0), "secure");
}

/* After the login the newest list is kept: from the reply's code before the untagged line. */
static void the_login_brings_a_list(void **state)
{
    run with, without;

    (void)state;
    begin(&with, 0, "pw");
    say(&with, "* OK [CAPABILITY IMAP4rev1] hi");
    without = with;
    without.config.user = &without;
    without.engine.config = &without.config;
    pump(&with);
    pump(&without);
    say(&with, "% OK [CAPABILITY IMAP4rev1 STARTTLS] x");
    say(&without, "% OK x");
    assert_int_not_equal(with.engine.capabilities, without.engine.capabilities);
    assert_int_equal(without.engine.capabilities, with.engine.capabilities & without.engine.capabilities);
}

/* ---- STARTTLS ---- */

/* SECURITY.md section 3, 2 and 11: the engine stands still at the OK, and forgets all that was said. */
static void starttls_pauses_and_forgets(void **state)
{
    static const char text[] = "a1 OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] go\r\n* PREAUTH x\r\n";
    run r;
    size_t taken;

    (void)state;
    begin(&r, 2, "pw");
    say(&r, "* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=CRAM-MD5] hi");
    pump(&r);
    r.used = 0;
    taken = take(&r, text, sizeof text - 1);
    assert_int_equal(taken, 47);
    assert_int_equal(r.engine.state, IMC_SECURING);
    assert_int_equal(take(&r, text, 5), 0);
    assert_int_equal(r.used, 0);
    assert_int_equal(r.restarts, 0);

    imc_engine_secured(&r.engine);
    assert_int_equal(r.restarts, 1);
    assert_int_equal(r.engine.encrypted, 1);
    assert_int_equal(r.engine.capabilities, 0);
    assert_string_equal(r.engine.reader.text, "");
    assert_string_equal(r.engine.reader.code, "");
    assert_int_equal(r.engine.reader.answer, 0);
    assert_string_equal(outcome(&r, 0), "> a2 CAPABILITY");
    r.used = 0;
    say(&r, "* CAPABILITY IMAP4rev1");
    say(&r, "% OK x");
    assert_string_equal(outcome(&r, 0), "> a3 LOGIN \"joe\" \"pw\"");
}

/* With TLS from the first byte the greeting comes next, and nothing was before. */
static void tls_is_followed_by_the_greeting(void **state)
{
    run r;

    (void)state;
    begin(&r, 1, "pw");
    r.engine.encrypted = 0;
    r.engine.state = IMC_SECURING;
    assert_int_equal(take(&r, "* OK x\r\n", 8), 0);
    imc_engine_secured(&r.engine);
    assert_int_equal(r.engine.state, IMC_GREETING);
    assert_int_equal(r.engine.encrypted, 1);
    assert_int_equal(r.used, 0);
}

/* ---- limits ---- */

/* Says lines until the engine has had enough; returns how many it took, at most `most`. */
static unsigned flood(run *r, const char *line, unsigned most)
{
    unsigned i;

    for (i = 0; i < most && r->engine.error == 0; i++)
        (void)take(r, line, strlen(line));
    return i;
}

/* SECURITY.md section 3, 22: at least 1,000 lines and 64 KB before login, and not without end. */
static void replies_before_login_are_bounded(void **state)
{
    char long_line[4097];
    size_t i;

    (void)state;
    memset(long_line, 'x', sizeof long_line);
    memcpy(long_line, "* X ", 4);
    memcpy(long_line + 4094, "\r\n", 3);
    for (i = 0; i < COUNT(table); i++) {
        run r;

        if (table[i].command != NOTHING || table[i].before[0] == 0)
            continue;
        lead(&r, &table[i]);
        pump(&r);
        assert_int_equal(flood(&r, "* 1 EXISTS\r\n", 1000), 1000);
        assert_int_equal(r.engine.error, 0);
        assert_in_range(flood(&r, "* 1 EXISTS\r\n", 100000), 1, 20000);
        assert_int_equal(r.engine.error, IMAPCONNECT_E_LIMIT);

        lead(&r, &table[i]);
        pump(&r);
        assert_int_equal(flood(&r, long_line, 16), 16); /* 65,536 bytes */
        assert_int_equal(r.engine.error, 0);
        assert_in_range(flood(&r, long_line, 1000), 1, 500);
        assert_int_equal(r.engine.error, IMAPCONNECT_E_LIMIT);
    }
}

/* One line without end, as greeting and later, in text and in data and as a word. */
static void a_line_without_end_before_login(void **state)
{
    static const char *const begins[] = {"", "* OK ", "* OK [", "* X", "* X ", "a1 ", "+ "};
    char block[4096];
    size_t i, k;

    (void)state;
    memset(block, 'A', sizeof block);
    for (i = 0; i < COUNT(begins); i++) {
        for (k = 0; k < 2; k++) {
            run r;
            unsigned count = 0;

            begin(&r, 0, "pw");
            if (k == 1) {
                say(&r, "* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hi");
                pump(&r);
            }
            (void)take(&r, begins[i], strlen(begins[i]));
            while (count < 1000 && r.engine.error == 0) {
                (void)take(&r, block, sizeof block);
                count++;
            }
            if (k == 0 && begins[i][0] == 'a') { /* no greeting at all */
                assert_int_equal(r.engine.error, IMAPCONNECT_E_GREETING);
                continue;
            }
            assert_int_equal(r.engine.error, IMAPCONNECT_E_LIMIT);
            assert_in_range(count, 16, 500);
        }
    }
}

/* Each command has a limit of its own. */
static void each_reply_is_counted_anew(void **state)
{
    run r;

    (void)state;
    begin(&r, 0, "pw");
    say(&r, "* OK hi");
    pump(&r);
    assert_int_equal(flood(&r, "* 1 EXISTS\r\n", 1000), 1000);
    say(&r, "* CAPABILITY IMAP4rev1 AUTH=CRAM-MD5");
    say(&r, "% OK x");
    pump(&r);
    assert_int_equal(flood(&r, "* 1 EXISTS\r\n", 1000), 1000);
    say(&r, "% NO x");
    pump(&r);
    assert_int_equal(flood(&r, "* 1 EXISTS\r\n", 1000), 1000);
    say(&r, "% OK x");
    assert_int_equal(r.engine.error, 0);
    assert_int_equal(r.engine.done, 1);
}

/* After it time alone limits, and a total that the configuration may set. */
static void replies_after_login(void **state)
{
    run r;
    uint32_t limit;

    (void)state;
    lead(&r, &table[COUNT(table) - 2]);
    pump(&r);
    assert_int_equal(flood(&r, "* 1 EXISTS\r\n", 50000), 50000);
    assert_int_equal(r.engine.error, 0);
    for (limit = 20; limit < 30; limit++) { /* 12 + 10 bytes to the end of the reply */
        lead(&r, &table[COUNT(table) - 2]);
        r.config.max_reply = limit;
        pump(&r);
        (void)take(&r, "* 1 EXISTS\r\na1 OK x\r\n\r\n", 21);
        assert_int_equal(r.engine.error, limit < 21 ? IMAPCONNECT_E_LIMIT : 0);
        assert_int_equal(r.engine.done, limit >= 21);
    }
}

/* ---- time limits, calls, errors ---- */

/* The session begins a new time limit whenever this number changes: with each command, and with nothing that the server
   says in between. */
static void steps_count_commands(void **state)
{
    run r;
    int step;

    (void)state;
    begin(&r, 2, "pw");
    step = r.engine.step;
    say(&r, "* OK hi");
    assert_int_not_equal(r.engine.step, step); /* CAPABILITY */
    step = r.engine.step;
    pump(&r);
    say(&r, "* 1 EXISTS");
    say(&r, "* OK x");
    say(&r, "* CAPABILITY IMAP4rev1 STARTTLS");
    assert_int_equal(r.engine.step, step);
    say(&r, "% OK x");
    assert_int_not_equal(r.engine.step, step); /* STARTTLS */
    pump(&r);
    step = r.engine.step;
    say(&r, "% OK x");
    assert_int_not_equal(r.engine.step, step); /* the handshake */
    step = r.engine.step;
    imc_engine_secured(&r.engine);
    assert_int_not_equal(r.engine.step, step);
    pump(&r);
    say(&r, "* CAPABILITY IMAP4rev1 AUTH=CRAM-MD5");
    step = r.engine.step;
    say(&r, "% OK x");
    assert_int_not_equal(r.engine.step, step); /* AUTHENTICATE */
    pump(&r);
    step = r.engine.step;
    say(&r, "+ PDEuMkB4Pg==");
    pump(&r);
    say(&r, "+ PDEuMkB4Pg==");
    pump(&r);
    assert_int_equal(r.engine.step, step); /* a challenge is no new command */
    say(&r, "% NO x");
    assert_int_not_equal(r.engine.step, step);
}

static void nothing_is_taken_once_the_call_is_over(void **state)
{
    run r;

    (void)state;
    lead(&r, &table[COUNT(table) - 2]);
    pump(&r);
    assert_int_equal(take(&r, "a1 OK x\r\n* BYE x\r\n", 18), 9);
    assert_int_equal(r.engine.done, 1);
    assert_int_equal(take(&r, "* BYE x\r\n", 9), 0);
    assert_int_equal(r.engine.error, 0);
    imc_engine_fail(&r.engine, IMAPCONNECT_E_TIMEOUT);
    imc_engine_fail(&r.engine, IMAPCONNECT_E_BYE); /* the first one stays */
    assert_int_equal(r.engine.error, IMAPCONNECT_E_TIMEOUT);
    imc_engine_call(&r.engine, &imc_engine_noop, 0);
    assert_int_equal(take(&r, "* BYE x\r\n", 9), 0);
}

/* The mechanism that logged in, and each is tried once. */
static void one_try_of_each_mechanism(void **state)
{
    run r;

    (void)state;
    begin(&r, 1, "pw");
    say(&r, "* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hi");
    pump(&r);
    say(&r, "% NO x");
    pump(&r);
    say(&r, "% NO x");
    assert_string_equal(r.sent, "a1 AUTHENTICATE CRAM-MD5\r\na2 LOGIN \"joe\" \"pw\"\r\n");
    assert_int_equal(r.engine.error, IMAPCONNECT_E_LOGIN_REJECTED);
    assert_int_equal(r.engine.entered, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_line_in_every_state),
    cmocka_unit_test(answers_come_after_the_command),
    cmocka_unit_test(a_bye_before_the_logout),
    cmocka_unit_test(a_challenge_does_not_touch_what_is_to_be_sent),
    cmocka_unit_test(what_follows_from_the_capabilities),
    cmocka_unit_test(the_refusal_stops_the_fall_back),
    cmocka_unit_test(which_list_counts),
    cmocka_unit_test(the_login_brings_a_list),
    cmocka_unit_test(starttls_pauses_and_forgets),
    cmocka_unit_test(tls_is_followed_by_the_greeting),
    cmocka_unit_test(replies_before_login_are_bounded),
    cmocka_unit_test(a_line_without_end_before_login),
    cmocka_unit_test(each_reply_is_counted_anew),
    cmocka_unit_test(replies_after_login),
    cmocka_unit_test(steps_count_commands),
    cmocka_unit_test(nothing_is_taken_once_the_call_is_over),
    cmocka_unit_test(one_try_of_each_mechanism),
};
TEST_MAIN(tests)
