/* Room >>engine: what each state does with each kind of line. The table is written from SPEC.md section 3 and 4 and
   SECURITY.md section 3, not from the one in the engine. Lines go in as bytes, and what would leave is collected. */

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

#include "test.h"

#include <time.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct run {
    imapconnect_config config;
    imapconnect_engine engine;
    char sent[2048];
    size_t used;
    int restarts, cancels;
    uint32_t milliseconds; /* of a wait for news */
} run;

static int on_response(void *user, int event, const char *bytes, size_t count)
{
    run *r = user;

    if (event == IMAPCONNECT_RESTART)
        assert_true(bytes == 0 && count == 0);
    r->restarts += event == IMAPCONNECT_RESTART;
    return event == r->cancels;
}

static void begin(run *r, int secure, const char *password)
{
    memset(r, 0, sizeof *r);
    r->config.user = r;
    r->config.on_response = on_response;
    r->engine.config = &r->config;
    r->engine.secure = (uint8_t)secure;
    r->engine.writer.text[0] = "joe";
    r->engine.writer.text[1] = password;
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
        memcpy(r->sent + r->used, writer->out.bytes + writer->sent, count);
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

    if (command == NOTHING)
        return;
    assert_int_equal(r->engine.done, 1);
    imc_engine_call(&r->engine, 0);
    r->engine.writer.text[0] = "STATUS x (UNSEEN)";
    imc_engine_begin(&r->engine, commands[command]);
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

/* In the middle of an exchange it is that command which went wrong; a tag that is not ours was never asked for. */
static int early_code(const row *wanted, int answer)
{
    int is_plus = answer == 3;

    if (answer == 4)
        return -1261;
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
    static const char *const answers[] = {"% OK x", "% NO x", "% BAD x", "+ x", "a99 OK x"};
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
            if (r.engine.error != early_code(&table[i], (int)k))
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

/* How the login went is of no matter to what comes too early after it. */
static void an_early_answer_after_an_exchange(void **state)
{
    static const char *const answers[] = {"% OK x", "% NO x", "% BAD x"};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(answers); i++) {
        run r;

        begin(&r, 0, "pw");
        say(&r, "* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hi");
        pump(&r);
        say(&r, "+ PDEuMkB4Pg==");
        pump(&r);
        say(&r, "% OK in");
        call(&r, NOOP);
        say(&r, answers[i]);
        assert_int_equal(r.engine.error, IMAPCONNECT_E_TAG);
    }
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
    expect_after_greeting(0, 0, "* OK [CAPABILITY ] hi", "> a1 CAPABILITY");
    expect_after_greeting(0, 0, "* OK [X CAPABILITY IMAP4rev1] hi", "> a1 CAPABILITY"); /* of another code */
    expect_after_greeting(0, 0, "* OK [CAPABILITY X] hi", "-1267");
    expect_after_greeting(0, 0, "* OK [CAPABILITY IMAP4rev2] hi", "-1267"); /* it alone is not enough */
    expect_after_greeting(0, 0, "* OK [CAPABILITY IMAP4rev1] hi", LOGIN_1);
    expect_after_greeting(0, 0, "* OK [CAPABILITY imap4REV1] hi", LOGIN_1);
    expect_after_greeting(0, 0, "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi", "-1264");
    expect_after_greeting(0, 0, "* OK [CAPABILITY IMAP4rev1 loginDisabled] hi", "-1264");
    expect_after_greeting(0, 0, "* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hi", "> a1 AUTHENTICATE CRAM-MD5");
    expect_after_greeting(0, 0, "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=CRAM-MD5X] hi", LOGIN_1);
    expect_after_greeting(1, 0,
                          "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=EXTERNAL AUTH=OAUTHBEARER AUTH=XOAUTH2 AUTH=PLAIN "
                          "AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1] hi",
                          LOGIN_1); /* config.auth names none of these */
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

/* A list that came with a login which failed is no part of the reply to the one that succeeds. */
static void a_failed_login_brings_no_list(void **state)
{
    run r;

    (void)state;
    begin(&r, 0, "pw");
    say(&r, "* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hi");
    pump(&r);
    say(&r, "* CAPABILITY IMAP4rev1 MOVE");
    say(&r, "% NO x");
    pump(&r);
    say(&r, "% OK in");
    assert_int_equal(r.engine.done, 1);
    assert_int_equal(r.engine.asked, 0);

    begin(&r, 0, "pw");
    say(&r, "* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hi");
    pump(&r);
    say(&r, "+ PDEuMkB4Pg==");
    pump(&r);
    say(&r, "* CAPABILITY IMAP4rev1 MOVE");
    say(&r, "% OK in");
    assert_int_equal(r.engine.done, 1);
    assert_int_equal(r.engine.asked, 1);
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
    int step;

    (void)state;
    begin(&r, 1, "pw");
    r.engine.encrypted = 0;
    r.engine.state = IMC_SECURING;
    step = r.engine.step;
    assert_int_equal(take(&r, "* OK x\r\n", 8), 0);
    imc_engine_secured(&r.engine);
    assert_int_not_equal(r.engine.step, step); /* the greeting has a time limit of its own */
    assert_int_equal(r.engine.state, IMC_GREETING);
    assert_int_equal(r.engine.encrypted, 1);
    assert_int_equal(r.used, 0);
}

/* ---- limits ---- */

/* Says lines until the engine has had enough; returns how many it took, at most `most`. */
static unsigned flood_block(run *r, const char *bytes, size_t count, unsigned most)
{
    unsigned i;

    for (i = 0; i < most && r->engine.error == 0; i++)
        (void)take(r, bytes, count);
    return i;
}

static unsigned flood(run *r, const char *line, unsigned most)
{
    return flood_block(r, line, strlen(line), most);
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
        assert_in_range(flood(&r, "* 1 EXISTS\r\n", 100000), 1, 1000); /* by their number, long before their bytes */
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

/* Each command has a limit of its own, that of the manual: 1,024 lines. */
static void each_reply_is_counted_anew(void **state)
{
    run r;

    (void)state;
    begin(&r, 0, "pw");
    say(&r, "* OK hi");
    pump(&r);
    assert_int_equal(flood(&r, "* 1 EXISTS\r\n", 1022), 1022);
    say(&r, "* CAPABILITY IMAP4rev1 AUTH=CRAM-MD5");
    say(&r, "% OK x");
    pump(&r);
    assert_int_equal(flood(&r, "* 1 EXISTS\r\n", 1023), 1023);
    say(&r, "% NO x");
    pump(&r);
    assert_int_equal(flood(&r, "* 1 EXISTS\r\n", 1023), 1023);
    say(&r, "% OK x");
    assert_int_equal(r.engine.error, 0);
    assert_int_equal(r.engine.done, 1);
}

/* ... and 128 KB; one more is too much. */
static void one_more_than_the_limit(void **state)
{
    char block[1024];
    run r;

    (void)state;
    begin(&r, 0, "pw");
    say(&r, "* OK hi");
    pump(&r);
    assert_int_equal(flood(&r, "* 1 EXISTS\r\n", 100000), 1025);
    assert_int_equal(r.engine.error, IMAPCONNECT_E_LIMIT);

    begin(&r, 0, "pw");
    say(&r, "* OK hi");
    pump(&r);
    memset(block, 'x', sizeof block);
    memcpy(block, "* X ", 4);
    memcpy(block + sizeof block - 2, "\r\n", 2);
    assert_int_equal(flood_block(&r, block, sizeof block, 128), 128);
    assert_int_equal(r.engine.error, 0);
    (void)take(&r, "*", 1);
    assert_int_equal(r.engine.error, IMAPCONNECT_E_LIMIT);
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
    imc_engine_opened(&r.engine); /* before, the connection has the time, and now the greeting */
    assert_int_not_equal(r.engine.step, step);
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
    imc_engine_call(&r.engine, 0);
    assert_int_equal(take(&r, "* BYE x\r\n", 9), 0);
}

/* SECURITY.md section 3, 10: who cancels with the end of a line has ended the session, and what that line asks for is
   not done. */
static void nothing_follows_from_a_cancelled_line(void **state)
{
    run r;

    (void)state;
    begin(&r, 0, "pw");
    r.cancels = IMAPCONNECT_LINE_END;
    say(&r, "* OK [CAPABILITY IMAP4rev1] hi");
    assert_int_equal(r.engine.error, IMAPCONNECT_E_CANCELLED);
    assert_int_equal(r.engine.state, IMC_GREETING);
    assert_int_equal(r.engine.writer.used, 0);
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

/* RFC 5802 section 6: "p" where the server offers PLUS and TLS can export, "y" where we could and it does not offer
   it, "n" where we cannot. Its base64 stands behind the command, RFC 4959. */
#define BOTH     (IMAPCONNECT_AUTH_SCRAM_SHA_256 | IMAPCONNECT_AUTH_SCRAM_SHA_1)
#define OFFERS   "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-"
#define STARTS_P "SCRAM-SHA-256-PLUS cD10bHMtZXhwb3J0ZXIsLG49am9lLHI9"
#define STARTS_Y "SCRAM-SHA-256 eSwsbj1qb2Us"
#define STARTS_N "SCRAM-SHA-256 biwsbj1qb2Us"
#define STARTS_1 "SCRAM-SHA-1 biwsbj1qb2Us"

typedef struct bound {
    int auth, binds;
    const char *greeting, *first, *second; /* mechanism and answer; what comes after a NO, or null */
} bound;

static void expect_start(run *r, const char *expected)
{
    const char *command = strstr(r->sent, "AUTHENTICATE ");

    if (!expected) {
        assert_null(command);
        assert_int_not_equal(r->engine.error, 0);
        return;
    }
    assert_non_null(command);
    assert_memory_equal(command + 13, expected, strlen(expected));
}

static void scram_is_bound_where_it_can_be(void **state)
{
    static const bound all[] = {
        {BOTH, 1, OFFERS "256]", STARTS_Y, 0},
        {BOTH, 0, OFFERS "256]", STARTS_N, 0},
        {BOTH, 1, OFFERS "256-PLUS AUTH=SCRAM-SHA-256]", STARTS_P, 0},
        {BOTH, 1, OFFERS "256-PLUS]", STARTS_P, 0},
        {BOTH, 0, OFFERS "256-PLUS AUTH=SCRAM-SHA-256]", STARTS_N, 0},
        {BOTH, 0, OFFERS "256-PLUS]", 0, 0},
        {BOTH, 1, OFFERS "1]", STARTS_1, 0}, /* "y" would say that we could bind this one */
        {BOTH, 1, OFFERS "256-PLUS AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1]", STARTS_P, STARTS_1},
        {BOTH, 1, OFFERS "256 AUTH=SCRAM-SHA-1]", STARTS_Y, STARTS_1},
        {IMAPCONNECT_AUTH_SCRAM_SHA_256, 1, OFFERS "256-PLUS AUTH=SCRAM-SHA-256]", STARTS_P, 0},
        {IMAPCONNECT_AUTH_SCRAM_SHA_256_PLUS, 1, OFFERS "256-PLUS AUTH=SCRAM-SHA-256]", STARTS_P, 0},
        {IMAPCONNECT_AUTH_SCRAM_SHA_256_PLUS, 1, OFFERS "256]", 0, 0},
        {IMAPCONNECT_AUTH_SCRAM_SHA_256_PLUS, 0, OFFERS "256-PLUS AUTH=SCRAM-SHA-256]", 0, 0},
        {IMAPCONNECT_AUTH_SCRAM_SHA_1, 1, OFFERS "256-PLUS AUTH=SCRAM-SHA-1]", STARTS_1, 0}};
    size_t i;
    run r;

    (void)state;
    for (i = 0; i < COUNT(all); i++) {
        begin(&r, IMAPCONNECT_TLS, "pw");
        r.config.auth = all[i].auth;
        r.engine.binds = (uint8_t)all[i].binds;
        say(&r, all[i].greeting);
        pump(&r);
        expect_start(&r, all[i].first);
        r.used = 0;
        r.sent[0] = '\0';
        if (!all[i].first)
            continue;
        say(&r, "% NO x");
        pump(&r);
        expect_start(&r, all[i].second);
    }
}

#ifndef IMAPCONNECT_NO_TLS

/* A mechanism that config.auth does not name is not used, whatever the server offers. And of a NO because of something
   that has expired, RFC 5530, only two of them say that it is a token. */
static void only_what_is_named_is_used(void **state)
{
    static const struct {
        const char *name;
        int named; /* by these */
    } all[] = {{"EXTERNAL", IMAPCONNECT_AUTH_EXTERNAL},
               {"OAUTHBEARER", IMAPCONNECT_AUTH_OAUTHBEARER},
               {"XOAUTH2", IMAPCONNECT_AUTH_XOAUTH2},
               {"SCRAM-SHA-256-PLUS", IMAPCONNECT_AUTH_SCRAM_SHA_256_PLUS | IMAPCONNECT_AUTH_SCRAM_SHA_256},
               {"SCRAM-SHA-256", IMAPCONNECT_AUTH_SCRAM_SHA_256},
               {"SCRAM-SHA-1", IMAPCONNECT_AUTH_SCRAM_SHA_1},
               {"CRAM-MD5", IMAPCONNECT_AUTH_CRAM_MD5},
               {"PLAIN", IMAPCONNECT_AUTH_PLAIN},
               {"LOGIN", IMAPCONNECT_AUTH_LOGIN}};
    size_t i, k;

    (void)state;
    for (i = 0; i < COUNT(all); i++) {
        int is_login = i == COUNT(all) - 1;

        for (k = 0; k < COUNT(all); k++) {
            char greeting[100], command[100];
            int bit = IMAPCONNECT_AUTH_EXTERNAL << k;
            run r;

            begin(&r, IMAPCONNECT_TLS, "pw");
            r.config.auth = bit;
            r.engine.binds = 1;
            sprintf(greeting, "* OK [CAPABILITY IMAP4rev1 %s%s]",
                    is_login ? "X" : "LOGINDISABLED AUTH=", is_login ? "" : all[i].name);
            sprintf(command, is_login ? "a1 %s \"" : "a1 AUTHENTICATE %s\r\n", all[i].name);
            say(&r, greeting);
            pump(&r);
            if ((bit & all[i].named) == 0)
                assert_int_equal(r.engine.error, IMAPCONNECT_E_NO_MECHANISM);
            else
                assert_memory_equal(r.sent, command, strlen(command));
            if (r.engine.error == 0) {
                int is_token = bit == IMAPCONNECT_AUTH_OAUTHBEARER || bit == IMAPCONNECT_AUTH_XOAUTH2;

                say(&r, "% NO [EXPIRED] x");
                assert_int_equal(r.engine.error, is_token ? IMAPCONNECT_E_TOKEN : IMAPCONNECT_E_LOGIN_REJECTED);
            }
        }
    }
}

/* The key of SCRAM takes its time, which is the device's: a new time limit begins with each part of it. */
static void a_key_takes_none_of_the_time_limit(void **state)
{
    char first[100], line[200];
    int parts = 0, whole = 0;
    run r;

    (void)state;
    begin(&r, IMAPCONNECT_TLS, "pw");
    r.config.auth = IMAPCONNECT_AUTH_SCRAM_SHA_256;
    say(&r, OFFERS "256]");
    pump(&r);
    sprintf(first, "r=%sx,s=c2FsdA==,i=4096", r.engine.scram);
    memcpy(line, "+ ", 2);
    line[2 + imc_sasl_base64_encode(line + 2, (const unsigned char *)first, strlen(first))] = '\0';
    say(&r, line);
    assert_int_equal(r.engine.exchange, IMC_DERIVING);
    while (!whole) {
        int step = r.engine.step;

        whole = imc_engine_derive(&r.engine);
        assert_int_not_equal(r.engine.step, step);
        parts++;
    }
    assert_int_equal(r.engine.error, 0);
    assert_true(parts > 1);
}

#endif

/* ---- after the login ---- */

/* What is called, and what the server said before and since. */
enum { IDLE, APPEND, SEARCH, SELECT, LIST, MOVE };

typedef struct news {
    run *r;
    char heard[400];
    size_t used;
    int stops; /* the callback ends the wait */
    size_t given;
    int failing;
} news;

static int on_news(void *user, int what, uint32_t number)
{
    news *n = user;

    n->used += (size_t)sprintf(n->heard + n->used, "%s%lu ",
                               what == IMAPCONNECT_NEWS_EXISTS    ? "exists "
                               : what == IMAPCONNECT_NEWS_EXPUNGE ? "expunge "
                               : what == IMAPCONNECT_NEWS_RECENT  ? "recent "
                               : what == IMAPCONNECT_NEWS_FLAGS   ? "flags "
                                                                  : "? ",
                               (unsigned long)number);
    return n->stops;
}

static int on_uid(void *user, uint32_t uid)
{
    news *n = user;

    n->used += (size_t)sprintf(n->heard + n->used, "%lu ", (unsigned long)uid);
    return 0;
}

static int on_mailbox(void *user, const imapconnect_mailbox *mailbox)
{
    news *n = user;

    n->used += (size_t)sprintf(n->heard + n->used, "%s ", mailbox->name);
    return 0;
}

static int source(void *user, void *bytes, size_t count)
{
    news *n = user;

    if (n->failing)
        return 0;
    count = count < 100 ? count : 100;
    memset(bytes, 'm', count);
    n->given += count;
    return (int)count;
}

/* Logged in, with these capabilities in the reply to the login; "" for none there. */
static void log_in(run *r, const char *capabilities)
{
    char line[200];

    begin(r, 0, "pw");
    say(r, "* OK [CAPABILITY IMAP4rev1] hi");
    pump(r);
    sprintf(line, *capabilities ? "%% OK [CAPABILITY IMAP4rev1 %s] in" : "%% OK in%s", capabilities);
    say(r, line);
    assert_int_equal(r->engine.done, 1);
    r->used = 0;
    r->sent[0] = '\0';
}

/* A call as the session makes it: a message of 1000 bytes, a search for a text, and so on. */
static void start(run *r, news *n, int what)
{
    imapconnect_writer *writer = &r->engine.writer;

    memset(n, 0, sizeof *n);
    n->r = r;
    imc_engine_call(&r->engine, 0);
    r->engine.user = n;
    writer->text[0] = "x";
    writer->text[1] = 0;
    writer->number[0] = 0;
    if (what == IDLE) {
        writer->number[0] = r->milliseconds;
        r->engine.taker.news = on_news;
        imc_engine_begin(&r->engine, &imc_idle);
    } else if (what == APPEND) {
        writer->number[1] = 1000;
        r->engine.taker.source = source;
        imc_engine_begin(&r->engine, &imc_append);
    } else if (what == SEARCH) {
        writer->text[0] = 0; /* no charset */
        writer->text[1] = "SUBJECT";
        writer->text[2] = "\xc3\xbc";
        r->engine.taker.uid = on_uid;
        imc_engine_begin(&r->engine, &imc_search);
    } else if (what == SELECT) {
        r->engine.user = 0;
        imc_engine_begin(&r->engine, &imc_select);
    } else if (what == LIST) {
        writer->text[1] = "*";
        r->engine.taker.mailbox = on_mailbox;
        imc_engine_begin(&r->engine, &imc_list_rows);
    } else {
        writer->number[0] = 7;
        imc_engine_begin(&r->engine, &imc_move);
    }
}

/* What the session does when the time of a wait is up, or somebody has had enough. */
static void wake(run *r)
{
    assert_int_equal(r->engine.state, IMC_IDLE);
    r->engine.command->next(&r->engine);
}

/* A "+" is a challenge during AUTHENTICATE alone, and only then it is decoded into the transmit buffer. */
static void other_plus_lines_are_no_challenges(void **state)
{
    run r;
    news n;

    (void)state;
    log_in(&r, "IDLE");
    start(&r, &n, IDLE);
    pump(&r);
    (void)take(&r, "+ QUJD", 6);
    assert_int_equal(r.engine.reader.challenge, 0);

    begin(&r, 0, "pw");
    say(&r, "* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hi");
    pump(&r);
    say(&r, "+ no challenge");
    pump(&r);
    assert_int_equal(r.engine.exchange, IMC_GIVEN_UP);
    (void)take(&r, "+ QUJD", 6);
    assert_int_equal(r.engine.reader.challenge, 0);
}

static const char *const later_events[] = {"* OK x",     "* NO x",  "* BYE x",  "* CAPABILITY IMAP4rev1 X",
                                           "* 3 EXISTS", "* X (a)", "+ x",      "% OK x",
                                           "% NO x",     "% BAD x", "a99 OK x", ""};

typedef struct later {
    const char *name;
    const char *capabilities;
    int call;
    const char *since[4]; /* "!" stands for the end of a wait */
    const char *expected[COUNT(later_events)];
} later;

/* Columns: untagged OK, NO, BYE, CAPABILITY, EXISTS, other data; "+"; our tag with OK, NO, BAD; another tag; an empty
   line. The login had the tag a1. */
static const later later_table[] = {
    {"asking what the server can do",
     "",
     IDLE,
     {0},
     {"-", "-", "-1416", "-", "-", "-", "-1260", "> a3 NOOP", "> a3 NOOP", "> a3 NOOP", "-1261", "-1260"}},
    {"asking, and it can",
     "",
     IDLE,
     {"* CAPABILITY IMAP4rev1 IDLE"},
     {"-", "-", "-1416", "-", "-", "-", "-1260", "> a3 IDLE", "> a3 IDLE", "> a3 IDLE", "-1261", "-1260"}},
    {"IDLE",
     "IDLE",
     IDLE,
     {0},
     {"-", "-", "-1416", "-", "-", "-", "another state", "-1261", "done -1414", "done -1415", "-1261", "-1260"}},
    {"waiting",
     "IDLE",
     IDLE,
     {"+ idling"},
     {"-", "-", "-1416", "-", "-", "-", "-1260", "-1261", "-1261", "-1261", "-1261", "-1260"}},
    {"DONE",
     "IDLE",
     IDLE,
     {"+ idling", "!"},
     {"-", "-", "-1416", "-", "-", "-", "-1260", "done 0", "done -1414", "done -1415", "-1261", "-1260"}},
    {"DONE after news",
     "IDLE",
     IDLE,
     {"+ idling", "* 4 EXISTS", "!"},
     {"-", "-", "-1416", "-", "-", "-", "-1260", "done 1", "done -1414", "done -1415", "-1261", "-1260"}},
    {"NOOP in place of IDLE",
     "X",
     IDLE,
     {0},
     {"-", "-", "-1416", "-", "-", "-", "-1260", "done 0", "done -1414", "done -1415", "-1261", "-1260"}},
    {"APPEND before its literal",
     "X",
     APPEND,
     {0},
     {"-", "-", "-1416", "-", "-", "-", 0, "-1260", "done -1414", "done -1415", "-1261", "-1260"}},
    {"APPEND, sent",
     "X",
     APPEND,
     {"+ go"},
     {"-", "-", "-1416", "-", "-", "-", "-1260", "done 0", "done -1414", "done -1415", "-1261", "-1260"}},
    {"APPEND with LITERAL+",
     "LITERAL+",
     APPEND,
     {0},
     {"-", "-", "-1416", "-", "-", "-", "-1260", "done 0", "done -1414", "done -1415", "-1261", "-1260"}},
    {"SEARCH before its literal",
     "X",
     SEARCH,
     {0},
     {"-", "-", "-1416", "-", "-", "-", "> \xc3\xbc", "-1260", "done -1414", "done -1415", "-1261", "-1260"}},
    {"SEARCH, sent",
     "X",
     SEARCH,
     {"+ go"},
     {"-", "-", "-1416", "-", "-", "-", "-1260", "done 0", "done -1414", "done -1415", "-1261", "-1260"}},
    {"SELECT",
     "X",
     SELECT,
     {0},
     {"-", "-", "-1416", "-", "-", "-", "-1260", "done 0", "done -1277", "done -1277", "-1261", "-1260"}},
    {"LIST",
     "X",
     LIST,
     {0},
     {"-", "-", "-1416", "-", "-", "-", "-1260", "done 0", "done -1276", "done -1276", "-1261", "-1260"}},
    {"MOVE",
     "MOVE",
     MOVE,
     {0},
     {"-", "-", "-1416", "-", "-", "-", "-1260", "done 0", "done -1286", "done -1286", "-1261", "-1260"}},
    {"COPY in place of it",
     "X",
     MOVE,
     {0},
     {"-", "-", "-1416", "-", "-", "-", "-1260", "> a3 UID STORE 7 +FLAGS.SILENT (\\Deleted)", "done -1286",
      "done -1286", "-1261", "-1260"}},
    {"STORE in place of it",
     "X",
     MOVE,
     {"% OK copied"},
     {"-", "-", "-1416", "-", "-", "-", "-1260", "> a4 EXPUNGE", "done -1281", "done -1281", "-1261", "-1260"}},
    {"STORE with UIDPLUS",
     "UIDPLUS",
     MOVE,
     {"% OK copied"},
     {"-", "-", "-1416", "-", "-", "-", "-1260", "> a4 UID EXPUNGE 7", "done -1281", "done -1281", "-1261", "-1260"}},
    {"EXPUNGE in place of it",
     "UIDPLUS",
     MOVE,
     {"% OK copied", "% OK flagged"},
     {"-", "-", "-1416", "-", "-", "-", "-1260", "done 0", "done -1283", "done -1283", "-1261", "-1260"}}};

static void lead_later(run *r, news *n, const later *wanted)
{
    size_t i;

    log_in(r, wanted->capabilities);
    start(r, n, wanted->call);
    for (i = 0; i < COUNT(wanted->since) && wanted->since[i] != 0; i++) {
        pump(r);
        if (wanted->since[i][0] == '!')
            wake(r);
        else
            say(r, wanted->since[i]);
    }
    assert_int_equal(r->engine.error, 0);
    assert_int_equal(r->engine.done, 0);
}

static void every_line_in_every_state_after_the_login(void **state)
{
    size_t i, k;

    (void)state;
    for (i = 0; i < COUNT(later_table); i++) {
        for (k = 0; k < COUNT(later_events); k++) {
            const later *wanted = &later_table[i];
            const char *got;
            run r;
            news n;
            int before;

            if (wanted->expected[k] == 0)
                continue; /* it has a test of its own */
            lead_later(&r, &n, wanted);
            pump(&r);
            r.used = 0;
            before = r.engine.state;
            say(&r, later_events[k]);
            got = outcome(&r, before);
            if (strcmp(got, wanted->expected[k]) != 0)
                fail_msg("%s: '%s' gives '%s', want '%s'", wanted->name, later_events[k], got, wanted->expected[k]);
        }
    }
}

/* One byte of the command, or of its literal, is still to be sent. NO and BAD may come before the end of a literal that
   was not asked for; all else answers something that was never asked. */
static void early_answers_after_the_login(void **state)
{
    static const char *const answers[] = {"% OK x", "% NO x", "% BAD x", "+ x"};
    size_t i, k;

    (void)state;
    for (i = 0; i < COUNT(later_table); i++) {
        for (k = 0; k < COUNT(answers); k++) {
            int literal = strstr(later_table[i].name, "LITERAL+") != 0;
            int expected = k == 3 ? IMAPCONNECT_E_RESPONSE : IMAPCONNECT_E_TAG;
            run r;
            news n;

            lead_later(&r, &n, &later_table[i]);
            if (r.engine.writer.used < 2)
                continue; /* nothing is to be sent here */
            imc_commands_sent(&r.engine, (size_t)r.engine.writer.used - 1);
            if (r.engine.writer.used == r.engine.writer.sent)
                continue;
            say(&r, answers[k]);
            if (strstr(later_table[i].name, "before its literal") != 0 && (k == 1 || k == 2))
                continue; /* below */
            if (literal && (k == 1 || k == 2)) {
                assert_int_equal(r.engine.error, 0);
                assert_int_equal(r.engine.done, 0);
                continue;
            }
            if (r.engine.error != expected || r.engine.done)
                fail_msg("%s: early '%s' gives %d", later_table[i].name, answers[k], r.engine.error);
        }
    }
}

/* A literal that waits was asked for: not all of the question has left, so there is no answer to it yet. */
static void a_no_before_the_size_has_left(void **state)
{
    static const int calls[] = {APPEND, SEARCH};
    static const char *const answers[] = {"% NO x", "% BAD x"};
    size_t i, k;

    (void)state;
    for (i = 0; i < COUNT(calls); i++) {
        for (k = 0; k < COUNT(answers); k++) {
            run r;
            news n;

            log_in(&r, "X");
            start(&r, &n, calls[i]);
            imc_commands_sent(&r.engine, (size_t)r.engine.writer.used - 1);
            say(&r, answers[k]);
            assert_int_equal(r.engine.error, IMAPCONNECT_E_TAG);
        }
    }
}

/* A line that began while we waited cannot answer what we said later, wherever it is cut: CVE-2026-42246. */
static void an_answer_that_began_in_the_wait(void **state)
{
    static const char line[] = "a2 OK x\r\n";
    size_t cut;

    (void)state;
    for (cut = 1; cut < sizeof line - 1; cut++) {
        run r;
        news n;

        log_in(&r, "IDLE");
        start(&r, &n, IDLE); /* a2 */
        pump(&r);
        say(&r, "+ idling");
        (void)take(&r, line, cut);
        if (r.engine.error == 0) {
            wake(&r);
            pump(&r); /* DONE */
            (void)take(&r, line + cut, sizeof line - 1 - cut);
        }
        if (r.engine.error != IMAPCONNECT_E_TAG)
            fail_msg("IDLE, cut at %zu: %d, done %d", cut, r.engine.error, r.engine.done);
    }
    for (cut = 1; cut < sizeof line - 1; cut++) {
        static const char next[] = "a3 OK x\r\n";
        run r;
        news n;

        log_in(&r, "X");
        r.milliseconds = 100000;
        start(&r, &n, IDLE);
        pump(&r);
        say(&r, "% OK x"); /* to the first NOOP, a2 */
        assert_int_equal(r.engine.state, IMC_IDLE);
        (void)take(&r, next, cut);
        if (r.engine.error == 0) {
            wake(&r);
            pump(&r); /* NOOP, a3 */
            (void)take(&r, next + cut, sizeof next - 1 - cut);
        }
        if (r.engine.error != IMAPCONNECT_E_TAG)
            fail_msg("NOOP, cut at %zu: %d, done %d", cut, r.engine.error, r.engine.done);
    }
}

/* Data that began in a wait is read to its end, whatever we say meanwhile. */
static void news_that_began_in_the_wait(void **state)
{
    static const char line[] = "* 44 EXISTS\r\n";
    size_t cut;

    (void)state;
    for (cut = 1; cut < sizeof line - 1; cut++) {
        run r;
        news n;

        log_in(&r, "IDLE");
        start(&r, &n, IDLE);
        pump(&r);
        say(&r, "+ idling");
        (void)take(&r, line, cut);
        wake(&r);
        pump(&r);
        (void)take(&r, line + cut, sizeof line - 1 - cut);
        say(&r, "% OK x");
        assert_string_equal(outcome(&r, 0), "done 1");
        assert_string_equal(n.heard, "exists 44 ");
        assert_string_equal(r.sent, "a2 IDLE\r\nDONE\r\n");
    }
}

/* ---- capabilities after the login ---- */

/* They are asked for when a command depends on them, and once. */
static void capabilities_are_asked_for_once(void **state)
{
    static const char *const answers[] = {"% OK x", "% NO x", "% BAD x"};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(answers); i++) {
        run r;
        news n;

        log_in(&r, "");
        start(&r, &n, LIST); /* which does not depend on them */
        pump(&r);
        assert_string_equal(r.sent, "a2 LIST \"x\" \"*\"\r\n");
        say(&r, "% OK x");
        r.used = 0;
        start(&r, &n, MOVE);
        pump(&r);
        assert_string_equal(r.sent, "a3 CAPABILITY\r\n");
        r.used = 0;
        say(&r, "* CAPABILITY IMAP4rev1 MOVE IDLE");
        say(&r, answers[i]);
        pump(&r);
        assert_string_equal(r.sent, "a4 UID MOVE 7 \"x\"\r\n");
        r.used = 0;
        say(&r, "% OK x");
        start(&r, &n, IDLE);
        pump(&r);
        assert_string_equal(r.sent, "a5 IDLE\r\n");
    }
}

/* Without a list those from before the login must do; refused or not, they are not asked for again. */
static void capabilities_that_are_not_told(void **state)
{
    run r;
    news n;

    (void)state;
    begin(&r, 0, "pw");
    say(&r, "* OK [CAPABILITY IMAP4rev1 MOVE] hi");
    pump(&r);
    say(&r, "% OK in");
    r.used = 0;
    start(&r, &n, MOVE);
    pump(&r);
    assert_string_equal(r.sent, "a2 CAPABILITY\r\n"); /* what it could do then is not what it can do now */
    r.used = 0;
    say(&r, "% BAD x");
    pump(&r);
    assert_string_equal(r.sent, "a3 UID MOVE 7 \"x\"\r\n");
    say(&r, "% OK x");
    r.used = 0;
    start(&r, &n, MOVE);
    pump(&r);
    assert_string_equal(r.sent, "a4 UID MOVE 7 \"x\"\r\n");
}

/* What the login said, in its code or in a line of its own, is what it can do now; so is what PREAUTH said. */
static void capabilities_of_the_login(void **state)
{
    run r;
    news n;

    (void)state;
    log_in(&r, "MOVE");
    start(&r, &n, MOVE);
    pump(&r);
    assert_string_equal(r.sent, "a2 UID MOVE 7 \"x\"\r\n");

    begin(&r, 0, "pw");
    say(&r, "* OK [CAPABILITY IMAP4rev1] hi");
    pump(&r);
    say(&r, "* CAPABILITY IMAP4rev1 MOVE");
    say(&r, "% OK in");
    r.used = 0;
    start(&r, &n, MOVE);
    pump(&r);
    assert_string_equal(r.sent, "a2 UID MOVE 7 \"x\"\r\n");

    begin(&r, 0, "pw");
    say(&r, "* PREAUTH [CAPABILITY IMAP4rev1 MOVE] hi");
    start(&r, &n, MOVE);
    pump(&r);
    assert_string_equal(r.sent, "a1 UID MOVE 7 \"x\"\r\n");
}

/* A list that nobody asked for is not used: SPEC.md section 4, capabilities. */
static void capabilities_at_other_times(void **state)
{
    run r;
    news n;

    (void)state;
    log_in(&r, "X");
    start(&r, &n, LIST);
    say(&r, "* CAPABILITY IMAP4rev1 MOVE"); /* before the command has left, and behind it */
    pump(&r);
    say(&r, "* CAPABILITY IMAP4rev1 MOVE");
    say(&r, "* OK [CAPABILITY IMAP4rev1 MOVE] x");
    say(&r, "% OK [CAPABILITY IMAP4rev1 MOVE] x");
    r.used = 0;
    start(&r, &n, MOVE);
    pump(&r);
    assert_string_equal(r.sent, "a3 UID COPY 7 \"x\"\r\n");

    log_in(&r, "");
    start(&r, &n, MOVE);
    say(&r, "* CAPABILITY IMAP4rev1 MOVE"); /* ours has not left */
    pump(&r);
    r.used = 0;
    say(&r, "% OK x");
    pump(&r);
    assert_string_equal(r.sent, "a3 UID COPY 7 \"x\"\r\n");
}

/* ---- news ---- */

static void what_is_news(void **state)
{
    static const char *const lines[] = {
        "* 3 EXISTS",          "* 2 EXPUNGE",     "* 1 RECENT",        "* 9 FETCH (FLAGS (\\Seen))",
        "* 4294967295 exists", "* OK still here", "* LIST () \"/\" x", "* 5 STORE",
        "* FLAGS (\\Seen)",    "* CAPABILITY X",  "* EXISTS"};
    run r;
    news n;
    size_t i;

    (void)state;
    log_in(&r, "IDLE");
    start(&r, &n, IDLE);
    pump(&r);
    say(&r, "+ idling");
    for (i = 0; i < COUNT(lines); i++)
        say(&r, lines[i]);
    assert_string_equal(n.heard, "exists 3 expunge 2 recent 1 flags 9 exists 4294967295 ");
    assert_int_equal(r.engine.enough, 0);
    assert_int_equal(r.engine.heard, 1);
    n.stops = 1;
    say(&r, "* 1 RECENT");
    assert_int_equal(r.engine.enough, 1);
}

/* "The flags of message `number` have changed": the number in front, whatever else the response holds. */
static void the_number_of_news_with_a_literal(void **state)
{
    run r;
    news n;

    (void)state;
    log_in(&r, "IDLE");
    start(&r, &n, IDLE);
    pump(&r);
    say(&r, "+ idling");
    say(&r, "* 12 FETCH (BODY[] {5}\r\nhello FLAGS (\\Seen))");
    say(&r, "* 13 FETCH (X \"{77}\" FLAGS ())");
    assert_string_equal(n.heard, "flags 12 flags 13 ");
}

/* How many messages the mailbox has is known from EXISTS and EXPUNGE at any time, early lines too; and never from what
   was said before the login. */
static void the_number_of_messages(void **state)
{
    run r;
    news n;

    (void)state;
    begin(&r, 0, "pw");
    imc_engine_start(&r.engine);
    r.engine.state = IMC_GREETING;
    say(&r, "* OK [CAPABILITY IMAP4rev1] hi");
    pump(&r);
    say(&r, "* 99 EXISTS");
    say(&r, "* 1 EXPUNGE");
    say(&r, "% OK [CAPABILITY IMAP4rev1] in");
    assert_true(r.engine.exists == 0xffffffffu); /* nobody has said */
    start(&r, &n, LIST);
    say(&r, "* 1 EXPUNGE"); /* of a mailbox of which nothing is known */
    assert_true(r.engine.exists == 0xffffffffu);
    say(&r, "* 3 EXISTS"); /* early */
    pump(&r);
    assert_int_equal(r.engine.exists, 3);
    say(&r, "* 1 EXPUNGE");
    say(&r, "* 2 RECENT");
    say(&r, "* 1 FETCH (FLAGS ())");
    assert_int_equal(r.engine.exists, 2);
    say(&r, "* 2 EXPUNGE");
    say(&r, "* 1 EXPUNGE");
    say(&r, "* 1 EXPUNGE"); /* more than there were */
    assert_int_equal(r.engine.exists, 0);
    say(&r, "* 4294967295 EXISTS");
    say(&r, "% OK x");
    start(&r, &n, SELECT);
    pump(&r);
    say(&r, "* 7 EXISTS");
    say(&r, "% OK x");
    assert_int_equal(r.engine.exists, 7);
    start(&r, &n, SELECT); /* of another mailbox, whose server does not say */
    pump(&r);
    say(&r, "% OK x");
    assert_int_equal(r.engine.exists, 0);
    start(&r, &n, SELECT); /* which does not succeed: then none is open, RFC 3501 section 6.3.1 */
    say(&r, "* 9 EXISTS"); /* in the one before */
    pump(&r);
    say(&r, "% NO x");
    assert_true(r.engine.exists == 0xffffffffu);
}

/* What is said before SELECT has left is of the mailbox before, and finds the buffer full. */
static void what_is_said_before_a_select(void **state)
{
    static const char *const early[] = {"* 9 EXISTS", "* 9 RECENT", "* OK [UIDNEXT 9] x",
                                        "* OK [PERMANENTFLAGS (\\Seen)] x", "* FLAGS (\\Seen)"};
    imapconnect_selection selection;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(early); i++) {
        run r;
        news n;

        log_in(&r, "X");
        start(&r, &n, SELECT);
        r.engine.user = &selection;
        memset(&selection, 0xff, sizeof selection);
        say(&r, early[i]);
        pump(&r);
        assert_string_equal(r.sent, "a2 SELECT \"x\"\r\n");
        say(&r, "% OK x");
        assert_string_equal(outcome(&r, 0), "done 0");
        assert_int_equal(selection.messages, 0);
        assert_int_equal(selection.recent, 0);
        assert_int_equal(selection.uidnext, 0);
        assert_int_equal(selection.flags.seen, 0);
        assert_int_equal(selection.permanent_flags.answered, 1); /* all can be kept, when the server does not say */
    }
}

/* ---- rounds of a wait ---- */

/* A call of `milliseconds`, of which each round is over when its time is up. Returns what was sent, and in `rounds` how
   long each wait was to be. */
static const char *rounds_of(run *r, const char *capabilities, uint32_t milliseconds, char *rounds)
{
    news n;
    int most = 20;

    rounds[0] = '\0';
    log_in(r, capabilities);
    r->milliseconds = milliseconds;
    start(r, &n, IDLE);
    while (!r->engine.done && most-- > 0) {
        pump(r);
        if (r->engine.state == IMC_IDLING) {
            say(r, "+ idling");
        } else if (r->engine.state == IMC_COMMAND) {
            say(r, "% OK x");
        } else {
            sprintf(rounds + strlen(rounds), "%lu ", (unsigned long)r->engine.writer.number[1]);
            wake(r);
        }
        assert_int_equal(r->engine.error, 0);
    }
    assert_int_equal(r->engine.done, 1);
    assert_int_equal(r->engine.result, 0);
    return r->sent;
}

/* RFC 2177: renewed before servers and routers forget us, within 8 minutes when nothing else is configured. */
static void idle_is_renewed(void **state)
{
    char rounds[400];
    run r;

    (void)state;
    assert_string_equal(rounds_of(&r, "IDLE", 0, rounds), "a2 IDLE\r\nDONE\r\n");
    assert_string_equal(rounds, "0 ");
    assert_string_equal(rounds_of(&r, "IDLE", 1000, rounds), "a2 IDLE\r\nDONE\r\n");
    assert_string_equal(rounds, "1000 ");
    assert_string_equal(rounds_of(&r, "IDLE", 480000, rounds), "a2 IDLE\r\nDONE\r\n");
    assert_string_equal(rounds, "480000 ");
    assert_string_equal(rounds_of(&r, "IDLE", 480001, rounds), "a2 IDLE\r\nDONE\r\na3 IDLE\r\nDONE\r\n");
    assert_string_equal(rounds, "480000 1 ");
    assert_string_equal(rounds_of(&r, "IDLE", 1000000, rounds),
                        "a2 IDLE\r\nDONE\r\na3 IDLE\r\nDONE\r\na4 IDLE\r\nDONE\r\n");
    assert_string_equal(rounds, "480000 480000 40000 ");
}

/* Where there is no IDLE: a NOOP at the beginning, whenever the interval is over, and at the end. */
static void noop_in_place_of_idle(void **state)
{
    char rounds[400];
    run r;

    (void)state;
    assert_string_equal(rounds_of(&r, "X", 0, rounds), "a2 NOOP\r\n");
    assert_string_equal(rounds, "");
    assert_string_equal(rounds_of(&r, "X", 1, rounds), "a2 NOOP\r\na3 NOOP\r\n");
    assert_string_equal(rounds, "1 ");
    assert_string_equal(rounds_of(&r, "X", 60001, rounds), "a2 NOOP\r\na3 NOOP\r\na4 NOOP\r\n");
    assert_string_equal(rounds, "60000 1 ");
    assert_string_equal(rounds_of(&r, "X", 130000, rounds), "a2 NOOP\r\na3 NOOP\r\na4 NOOP\r\na5 NOOP\r\n");
    assert_string_equal(rounds, "60000 60000 10000 ");
}

/* Somebody has had enough before the "+" was there: IDLE is ended as soon as it has begun, and once. */
static void enough_before_the_wait(void **state)
{
    run r;
    news n;

    (void)state;
    log_in(&r, "IDLE");
    r.milliseconds = 10000000;
    start(&r, &n, IDLE);
    n.stops = 1;
    pump(&r);
    say(&r, "* 3 EXISTS");
    pump(&r);
    assert_string_equal(r.sent, "a2 IDLE\r\n"); /* DONE before "+" would be a command */
    say(&r, "+ idling");
    wake(&r);
    pump(&r);
    say(&r, "% OK x");
    assert_string_equal(outcome(&r, 0), "done 1");
    assert_string_equal(r.sent, "a2 IDLE\r\nDONE\r\n");
}

/* Between two NOOPs only we wait, and it ends with the line that was enough. */
static void enough_between_two_noops(void **state)
{
    static const char lines[] = "* 3 EXISTS\r\n* 4 EXISTS\r\n";
    run r;
    news n;

    (void)state;
    log_in(&r, "X");
    r.milliseconds = 100000;
    start(&r, &n, IDLE);
    pump(&r);
    say(&r, "% OK x");
    assert_int_equal(r.engine.state, IMC_IDLE);
    n.stops = 1;
    assert_int_equal(take(&r, lines, sizeof lines - 1), 12);
    assert_string_equal(outcome(&r, 0), "done 1");
    assert_string_equal(n.heard, "exists 3 ");
}

/* News is news while the capabilities are asked for, too. */
static void news_before_the_wait(void **state)
{
    run r;
    news n;

    (void)state;
    log_in(&r, "");
    start(&r, &n, IDLE);
    pump(&r);
    assert_string_equal(r.sent, "a2 CAPABILITY\r\n");
    say(&r, "* 3 EXISTS");
    assert_string_equal(n.heard, "exists 3 ");
}

/* News that comes between DONE and its answer is heard, too. */
static void news_behind_done(void **state)
{
    run r;
    news n;

    (void)state;
    log_in(&r, "IDLE");
    start(&r, &n, IDLE);
    pump(&r);
    say(&r, "+ idling");
    wake(&r);
    pump(&r);
    say(&r, "* 3 EXISTS");
    say(&r, "% OK x");
    assert_string_equal(outcome(&r, 0), "done 1");
    assert_string_equal(n.heard, "exists 3 ");
}

/* A total for one reply is a total for one round, of the wait and of the answer to DONE together: when DONE leaves is up
   to the clock. */
static void each_round_is_counted_anew(void **state)
{
    run r;
    news n;
    int i, k;

    (void)state;
    log_in(&r, "IDLE");
    r.config.max_reply = 100;
    r.config.idle_renew = 10;
    r.milliseconds = 100;
    start(&r, &n, IDLE);
    for (i = 0; i < 5; i++) {
        n.used = 0;
        pump(&r);
        say(&r, "+ idling"); /* 10 bytes, and then 36 */
        for (k = 0; k < 3; k++)
            say(&r, "* 3 EXISTS");
        wake(&r);
        pump(&r);
        for (k = 0; k < 3; k++)
            say(&r, "* 3 EXISTS"); /* 36, and the 18 of the answer */
        say(&r, "% OK 9012345678");
        assert_int_equal(r.engine.error, 0);
    }
    pump(&r);
    say(&r, "+ idling");
    for (k = 0; k < 20; k++)
        say(&r, "* OK still here");
    assert_int_equal(r.engine.error, IMAPCONNECT_E_LIMIT);
}

/* ---- a NO in the middle of a literal that was not asked for ---- */

/* RFC 7888 section 4: the literal was announced, so all of it must leave before the next command can. */
static void what_was_announced_leaves(void **state)
{
    static const char *const answers[] = {"% NO [OVERQUOTA] full", "% BAD x"};
    static const int codes[] = {IMAPCONNECT_E_NO, IMAPCONNECT_E_BAD};
    size_t i, first;

    (void)state;
    for (i = 0; i < COUNT(answers); i++) {
        for (first = 30; first < 1034; first += 17) {
            run r;
            news n;
            size_t left, head = strlen("a2 APPEND \"x\" {1000+}\r\n");

            log_in(&r, "LITERAL+");
            start(&r, &n, APPEND);
            for (left = first; left > 0;) { /* so many bytes have left */
                size_t count = (size_t)(r.engine.writer.used - r.engine.writer.sent);

                if (count == 0)
                    break;
                count = count < left ? count : left;
                imc_commands_sent(&r.engine, count);
                left -= count;
            }
            if (imc_commands_are_sent(&r.engine.writer))
                break;
            say(&r, answers[i]);
            assert_int_equal(r.engine.error, 0);
            assert_int_equal(r.engine.done, 0);
            say(&r, "* 5 EXISTS"); /* news may come meanwhile */
            assert_int_equal(r.engine.exists, 5);
            r.used = first - left;
            memset(r.sent, '?', r.used);
            while (r.engine.writer.sent < r.engine.writer.used) {
                size_t count = (size_t)(r.engine.writer.used - r.engine.writer.sent);

                assert_int_equal(r.engine.done, 0);
                memcpy(r.sent + r.used, r.engine.writer.out.bytes + r.engine.writer.sent, count);
                r.used += count;
                imc_commands_sent(&r.engine, count);
                imc_engine_sent(&r.engine);
            }
            assert_int_equal(r.used, head + 1000 + 2);
            assert_memory_equal(r.sent + r.used - 3, "m\r\n", 3);
            assert_int_equal(n.given, 1000);
            assert_int_equal(r.engine.done, 1);
            assert_int_equal(r.engine.result, codes[i]);
            assert_int_equal(r.engine.state, IMC_READY);
            assert_string_equal(r.engine.reader.code, i == 0 ? "OVERQUOTA" : "");
            r.used = 0;
            start(&r, &n, LIST); /* and the session goes on */
            pump(&r);
            assert_string_equal(r.sent, "a3 LIST \"x\" \"*\"\r\n");
            say(&r, "% OK x");
            assert_string_equal(outcome(&r, 0), "done 0");
        }
        assert_in_range(first, 1000, 1033); /* up to the last byte */
    }
}

/* Meanwhile the command has been answered: nothing else can answer it. */
static void a_refused_command_is_over(void **state)
{
    static const struct {
        const char *line;
        int error;
    } cases[] = {{"a2 OK x", IMAPCONNECT_E_TAG},
                 {"a2 NO x", IMAPCONNECT_E_TAG},
                 {"a2 BAD x", IMAPCONNECT_E_TAG},
                 {"a9 OK x", IMAPCONNECT_E_TAG},
                 {"+ x", IMAPCONNECT_E_RESPONSE},
                 {"* BYE x", IMAPCONNECT_E_BYE},
                 {"", IMAPCONNECT_E_RESPONSE},
                 {"* OK x", 0},
                 {"* 1 EXPUNGE", 0}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        run r;
        news n;

        log_in(&r, "LITERAL+");
        start(&r, &n, APPEND);
        imc_commands_sent(&r.engine, 100);
        say(&r, "% NO x");
        say(&r, cases[i].line);
        if (r.engine.error != cases[i].error || r.engine.done)
            fail_msg("'%s' gives %d", cases[i].line, r.engine.error);
    }
}

/* A source that fails there is a failure like any other. */
static void a_source_that_fails_once_refused(void **state)
{
    run r;
    news n;

    (void)state;
    log_in(&r, "LITERAL+");
    start(&r, &n, APPEND);
    imc_commands_sent(&r.engine, 100);
    say(&r, "% NO x");
    n.failing = 1;
    imc_commands_sent(&r.engine, (size_t)(r.engine.writer.used - r.engine.writer.sent));
    imc_engine_sent(&r.engine);
    assert_int_equal(r.engine.error, IMAPCONNECT_E_CANCELLED);
}

/* The same for a text that is a literal. */
static void a_search_that_is_refused_early(void **state)
{
    run r;
    news n;

    (void)state;
    log_in(&r, "LITERAL-");
    start(&r, &n, SEARCH);
    imc_commands_sent(&r.engine, (size_t)r.engine.writer.used - 1);
    say(&r, "% NO [BADCHARSET (UTF-8)] x");
    assert_int_equal(r.engine.done, 0);
    imc_commands_sent(&r.engine, 1);
    imc_engine_sent(&r.engine);
    assert_int_equal(r.engine.done, 1);
    assert_int_equal(r.engine.result, IMAPCONNECT_E_NO);
}

/* In place of "+" it ends the command there and then: no byte of the literal leaves. */
static void a_no_in_place_of_the_plus(void **state)
{
    run r;
    news n;

    (void)state;
    log_in(&r, "X");
    start(&r, &n, APPEND);
    pump(&r);
    say(&r, "% NO [TRYCREATE] x");
    pump(&r);
    assert_string_equal(r.sent, "a2 APPEND \"x\" {1000}\r\n");
    assert_string_equal(outcome(&r, 0), "done -1414");
    assert_int_equal(n.given, 0);
    r.used = 0;
    start(&r, &n, LIST);
    pump(&r);
    assert_string_equal(r.sent, "a3 LIST \"x\" \"*\"\r\n");
}

/* ---- rows ---- */

/* Only what began behind the whole command is its reply: not behind the size of a literal, which still waits. */
static void rows_come_after_the_whole_command(void **state)
{
    run r;
    news n;

    (void)state;
    log_in(&r, "X");
    start(&r, &n, SEARCH);
    say(&r, "* SEARCH 1");
    pump(&r);
    say(&r, "* SEARCH 2"); /* the literal has not left */
    say(&r, "+ go");
    say(&r, "* SEARCH 3");
    pump(&r);
    say(&r, "* SEARCH 4 5");
    say(&r, "% OK x");
    assert_string_equal(outcome(&r, 0), "done 0");
    assert_string_equal(n.heard, "4 5 ");
}

/* A literal in the command leaves nothing in the row of the reply, though both go through one buffer. */
static void rows_behind_a_long_literal(void **state)
{
    char text[301];
    run r;
    news n;

    (void)state;
    memset(text, '\xe4', 300);
    text[300] = '\0';
    log_in(&r, "X");
    imc_engine_call(&r.engine, 0);
    memset(&n, 0, sizeof n);
    r.engine.user = &n;
    r.engine.taker.uid = on_uid;
    r.engine.writer.text[1] = "SUBJECT";
    r.engine.writer.text[2] = text;
    imc_engine_begin(&r.engine, &imc_search);
    pump(&r);
    say(&r, "+ go");
    pump(&r);
    say(&r, "* SEARCH 4 5");
    say(&r, "% OK x");
    assert_string_equal(outcome(&r, 0), "done 0");
    assert_string_equal(n.heard, "4 5 ");
}

/* Every state has a name, and imapconnect_phase() can say it. */
static void every_state_has_a_phase(void **state)
{
    (void)state;
    assert_int_equal(COUNT(imc_engine_phases), IMC_LOGOUT + 1);
    assert_string_equal(imc_engine_phases[IMC_ANY], "closed");
    assert_string_equal(imc_engine_phases[IMC_GREETING], "greeting");
    assert_string_equal(imc_engine_phases[IMC_READY], "ready");
    assert_string_equal(imc_engine_phases[IMC_ASKING], "capability");
    assert_string_equal(imc_engine_phases[IMC_COMMAND], "command");
    assert_string_equal(imc_engine_phases[IMC_REFUSED], "command");
    assert_string_equal(imc_engine_phases[IMC_LOGOUT], "logout");
}

static const imc_mechanism *mechanism(const char *name)
{
    size_t i = 0;

    while (strcmp(imc_engine_mechanisms[i].name, name) != 0)
        assert_in_range(++i, 1, COUNT(imc_engine_mechanisms) - 1);
    return &imc_engine_mechanisms[i];
}

#ifndef IMAPCONNECT_NO_TLS

/* RFC 5802 section 6: "y" says that the client could bind and the server, by its list, could not. Without -PLUS of its
   hash there is nothing that it could be bound by. */
static void the_flag_of_channel_binding(void **state)
{
    static const struct {
        const char *name;
        int binds, offered;
        const char *header;
    } cases[] = {{"SCRAM-SHA-256-PLUS", 1, 1, "p=tls-exporter,,"},
                 {"SCRAM-SHA-256", 1, 0, "y,,"},
                 {"SCRAM-SHA-256", 1, 1, "n,,"},
                 {"SCRAM-SHA-256", 0, 0, "n,,"},
                 {"SCRAM-SHA-256", 0, 1, "n,,"},
                 {"SCRAM-SHA-1", 1, 0, "n,,"},
                 {"SCRAM-SHA-1", 0, 0, "n,,"}};
    imapconnect_engine engine;
    size_t i;

    (void)state;
    memset(&engine, 0, sizeof engine);
    for (i = 0; i < COUNT(cases); i++) {
        engine.binds = (uint8_t)cases[i].binds;
        engine.capabilities = cases[i].offered ? mechanism("SCRAM-SHA-256-PLUS")->needs : 0;
        assert_string_equal(imc_engine_scram_header(&engine, mechanism(cases[i].name)), cases[i].header);
    }
}

#endif

/* The bound one takes the place of the same that is not, and of no other. */
static void the_bound_mechanism_comes_in_place(void **state)
{
    static const struct {
        const char *name;
        int binds, offered, wanted;
    } cases[] = {{"SCRAM-SHA-256-PLUS", 1, 1, 1},
                 {"SCRAM-SHA-256-PLUS", 0, 1, 0},
                 {"SCRAM-SHA-256", 1, 1, 0},
                 {"SCRAM-SHA-256", 0, 1, 1},
                 {"SCRAM-SHA-256", 1, 0, 1},
                 {"SCRAM-SHA-1", 1, 1, 1},
                 {"PLAIN", 1, 1, 1}};
    run r;
    size_t i;

    (void)state;
    begin(&r, IMAPCONNECT_TLS, "pw");
    r.config.auth = IMAPCONNECT_AUTH_STRONGEST;
    for (i = 0; i < COUNT(cases); i++) {
        r.engine.binds = (uint8_t)cases[i].binds;
        r.engine.capabilities = cases[i].offered ? mechanism("SCRAM-SHA-256-PLUS")->needs : 0;
        assert_int_equal(imc_engine_wants(&r.engine, mechanism(cases[i].name)), cases[i].wanted);
    }
}

/* A login without an exchange keeps the error of the table; so does CRAM-MD5 itself. */
static void whose_error_of_the_login_it_is(void **state)
{
    imapconnect_engine engine;

    (void)state;
    memset(&engine, 0, sizeof engine);
    assert_int_equal(imc_engine_login_code(&engine, IMAPCONNECT_E_CRAM_MD5), IMAPCONNECT_E_CRAM_MD5);
    for (engine.mechanism = 1; engine.mechanism <= COUNT(imc_engine_mechanisms); engine.mechanism++) {
        int is_cram = imc_engine_mechanisms[engine.mechanism - 1].bit == IMAPCONNECT_AUTH_CRAM_MD5;

        assert_int_equal(imc_engine_login_code(&engine, IMAPCONNECT_E_CRAM_MD5),
                         is_cram ? IMAPCONNECT_E_CRAM_MD5 : IMAPCONNECT_E_AUTHENTICATE);
        assert_int_equal(imc_engine_login_code(&engine, IMAPCONNECT_E_TAG), IMAPCONNECT_E_TAG);
    }
}

/* ---- work ---- */

static int hears_all(void *user, int direction, const char *bytes, size_t count)
{
    (void)user;
    (void)direction;
    (void)bytes;
    (void)count;
    return 0;
}

/* Microseconds of this thread: clock() counts in ticks as soon as the time of the process is limited. */
static long spent(void)
{
    struct timespec time;

    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time), 0);
    return (long)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/* What it costs to take the answer to a command: `first`, and `piece` so many times; the best of five. */
static long cost_of(const char *first, const char *piece, size_t times)
{
    static char text[1u << 20];
    long best = 0;
    int turn;

    for (turn = 0; turn < 5; turn++) {
        imapconnect_list list;
        long began;
        size_t i;
        run r;

        begin(&r, 1, "pw");
        imapconnect_list_init(&list, text, sizeof text);
        r.engine.state = IMC_COMMAND;
        r.engine.command = &imc_engine_noop;
        r.engine.list = &list;
        r.engine.on_log = hears_all;
        began = spent();
        (void)take(&r, first, strlen(first));
        for (i = 0; i < times; i++)
            (void)take(&r, piece, strlen(piece));
        began = spent() - began;
        assert_int_equal(r.engine.error, 0);
        best = turn == 0 || began < best ? began : best;
    }
    return best;
}

/* SECURITY.md section 3, 21: sixteen times the bytes are sixteen times the work, and by no means 256 times. */
static void work_is_linear(void **state)
{
    static const char *const answers[][2] = {{"", "* 1 EXISTS\r\n* 2 EXISTS\r\n* 3 EXISTS\r\n"},
                                             {"* X ", "((((((((((((((((((((((((((((((((((((("},
                                             {"* ", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
                                             {"* OK ", "some text for people, and more of the same"},
                                             {"* OK [X ", "one two three four five six seven eight "},
                                             {"* CAPABILITY", " ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT"},
                                             {"* X {4000000000}\r\n", "bytes of a literal that has a lot of them"}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(answers); i++) {
        long some = cost_of(answers[i][0], answers[i][1], 500);
        long more = cost_of(answers[i][0], answers[i][1], 8000);

        if (more > 64 * (some + 1))
            fail_msg("%s: %ld for 500 pieces, %ld for 8000", answers[i][0], some, more);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_line_in_every_state),
    cmocka_unit_test(answers_come_after_the_command),
    cmocka_unit_test(an_early_answer_after_an_exchange),
    cmocka_unit_test(a_bye_before_the_logout),
    cmocka_unit_test(a_challenge_does_not_touch_what_is_to_be_sent),
    cmocka_unit_test(what_follows_from_the_capabilities),
    cmocka_unit_test(the_refusal_stops_the_fall_back),
    cmocka_unit_test(which_list_counts),
    cmocka_unit_test(the_login_brings_a_list),
    cmocka_unit_test(a_failed_login_brings_no_list),
    cmocka_unit_test(starttls_pauses_and_forgets),
    cmocka_unit_test(tls_is_followed_by_the_greeting),
    cmocka_unit_test(replies_before_login_are_bounded),
    cmocka_unit_test(a_line_without_end_before_login),
    cmocka_unit_test(each_reply_is_counted_anew),
    cmocka_unit_test(one_more_than_the_limit),
    cmocka_unit_test(replies_after_login),
    cmocka_unit_test(steps_count_commands),
    cmocka_unit_test(nothing_is_taken_once_the_call_is_over),
    cmocka_unit_test(nothing_follows_from_a_cancelled_line),
    cmocka_unit_test(other_plus_lines_are_no_challenges),
    cmocka_unit_test(one_try_of_each_mechanism),
    cmocka_unit_test(scram_is_bound_where_it_can_be),
#ifndef IMAPCONNECT_NO_TLS
    cmocka_unit_test(only_what_is_named_is_used),
    cmocka_unit_test(a_key_takes_none_of_the_time_limit),
#endif
    cmocka_unit_test(every_line_in_every_state_after_the_login),
    cmocka_unit_test(early_answers_after_the_login),
    cmocka_unit_test(a_no_before_the_size_has_left),
    cmocka_unit_test(an_answer_that_began_in_the_wait),
    cmocka_unit_test(news_that_began_in_the_wait),
    cmocka_unit_test(capabilities_are_asked_for_once),
    cmocka_unit_test(capabilities_that_are_not_told),
    cmocka_unit_test(capabilities_of_the_login),
    cmocka_unit_test(capabilities_at_other_times),
    cmocka_unit_test(what_is_news),
    cmocka_unit_test(the_number_of_news_with_a_literal),
    cmocka_unit_test(the_number_of_messages),
    cmocka_unit_test(what_is_said_before_a_select),
    cmocka_unit_test(idle_is_renewed),
    cmocka_unit_test(noop_in_place_of_idle),
    cmocka_unit_test(enough_before_the_wait),
    cmocka_unit_test(enough_between_two_noops),
    cmocka_unit_test(news_before_the_wait),
    cmocka_unit_test(news_behind_done),
    cmocka_unit_test(each_round_is_counted_anew),
    cmocka_unit_test(what_was_announced_leaves),
    cmocka_unit_test(work_is_linear),
    cmocka_unit_test(a_refused_command_is_over),
    cmocka_unit_test(a_source_that_fails_once_refused),
    cmocka_unit_test(a_search_that_is_refused_early),
    cmocka_unit_test(a_no_in_place_of_the_plus),
    cmocka_unit_test(rows_come_after_the_whole_command),
    cmocka_unit_test(rows_behind_a_long_literal),
    cmocka_unit_test(every_state_has_a_phase),
#ifndef IMAPCONNECT_NO_TLS
    cmocka_unit_test(the_flag_of_channel_binding),
#endif
    cmocka_unit_test(the_bound_mechanism_comes_in_place),
    cmocka_unit_test(whose_error_of_the_login_it_is),
};
TEST_MAIN(tests)
