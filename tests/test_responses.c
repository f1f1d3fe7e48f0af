/* Room >>responses: tokens into one event a line, and every byte to the stream, the list and the log. Each text is
   cut in every way, and all ways must show the same (SECURITY.md section 3, 23). */

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

#include "test.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What the room shows of the bytes that it was given. */
typedef struct seen {
    imapconnect_config config;
    imapconnect_engine engine;
    imapconnect_list list;
    char list_text[4096];
    char events[400];  /* the lines' events, a word for each */
    char stream[8192]; /* L bytes $ for a line, {n= bytes } for a literal, R for the restart */
    size_t stream_used;
    char raw[8192]; /* all bytes of the stream, one behind the other */
    size_t raw_used;
    int last;        /* the stream's event before */
    char log[16384]; /* "S: " and a line, "\n" behind each, "+" and "\n" when it goes on */
    size_t log_used;
    int wants_base64; /* every line begins so */
    int logged, cancel_at, streamed, cancel_stream_at;
} seen;

static void append(char *to, size_t *used, size_t room, const void *bytes, size_t count)
{
    assert_true(*used + count < room);
    memcpy(to + *used, bytes, count);
    *used += count;
    to[*used] = '\0';
}

static int on_response(void *user, int event, const char *bytes, size_t count)
{
    seen *s = user;
    char number[24];
    int same = event == s->last && (event == IMAPCONNECT_LINE || event == IMAPCONNECT_LITERAL);

    if (!same && s->last == IMAPCONNECT_LINE)
        append(s->stream, &s->stream_used, sizeof s->stream, "]", 1);
    if (event == IMAPCONNECT_LINE || event == IMAPCONNECT_LITERAL) {
        assert_true(count > 0);
        if (!same && event == IMAPCONNECT_LINE)
            append(s->stream, &s->stream_used, sizeof s->stream, "[", 1);
        append(s->stream, &s->stream_used, sizeof s->stream, bytes, count);
        append(s->raw, &s->raw_used, sizeof s->raw, bytes, count);
    } else if (event == IMAPCONNECT_LINE_END) {
        assert_int_equal(count, 2);
        append(s->stream, &s->stream_used, sizeof s->stream, "$", 1);
        append(s->raw, &s->raw_used, sizeof s->raw, bytes, 2);
    } else if (event == IMAPCONNECT_LITERAL_BEGIN) {
        snprintf(number, sizeof number, "{%zu=", count);
        append(s->stream, &s->stream_used, sizeof s->stream, number, strlen(number));
        append(s->raw, &s->raw_used, sizeof s->raw, bytes, 2); /* the count is the literal's, not these two */
    } else if (event == IMAPCONNECT_LITERAL_END) {
        assert_true(bytes == 0 && count == 0);
        append(s->stream, &s->stream_used, sizeof s->stream, "}", 1);
    } else {
        assert_int_equal(event, IMAPCONNECT_RESTART);
        append(s->stream, &s->stream_used, sizeof s->stream, "R", 1);
    }
    s->last = event;
    return ++s->streamed == s->cancel_stream_at;
}

static int on_log(void *user, int direction, const char *bytes, size_t count)
{
    static const char *const marks[] = {"?", "C: ", "S: ", "?", "N: "};
    seen *s = user;
    size_t i;

    assert_in_range(count, 1, IMAPCONNECT_LOG_SIZE);
    for (i = 0; i < count; i++)
        assert_in_range(bytes[i], 0x20, 0x7e);
    append(s->log, &s->log_used, sizeof s->log, marks[direction & 7], strlen(marks[direction & 7]));
    append(s->log, &s->log_used, sizeof s->log, bytes, count);
    append(s->log, &s->log_used, sizeof s->log, direction & IMAPCONNECT_LOG_MORE ? "+\n" : "\n",
           direction & IMAPCONNECT_LOG_MORE ? 2 : 1);
    return ++s->logged == s->cancel_at;
}

static void begin(seen *s, const char *tag, int wants_base64)
{
    memset(s, 0, sizeof *s);
    s->config.user = s;
    s->config.on_response = on_response;
    s->engine.config = &s->config;
    s->engine.on_log = on_log;
    s->engine.list = &s->list;
    imapconnect_list_init(&s->list, s->list_text, sizeof s->list_text);
    memcpy(s->engine.reader.tag, tag, strlen(tag) + 1);
    s->wants_base64 = wants_base64;
}

static const char *name_of(int event)
{
    static const struct {
        int event;
        const char *name;
    } names[] = {{IMC_SAW_OK, "OK"},
                 {IMC_SAW_NO, "NO"},
                 {IMC_SAW_BAD, "BAD"},
                 {IMC_SAW_BYE, "BYE"},
                 {IMC_SAW_PREAUTH, "PREAUTH"},
                 {IMC_SAW_CAPABILITY, "CAPABILITY"},
                 {IMC_SAW_DATA, "DATA"},
                 {IMC_SAW_EXISTS, "EXISTS"},
                 {IMC_SAW_EXPUNGE, "EXPUNGE"},
                 {IMC_SAW_RECENT, "RECENT"},
                 {IMC_SAW_FETCH, "FETCH"},
                 {IMC_SAW_CONTINUATION, "+"},
                 {IMC_SAW_TAGGED_OK, "tag-OK"},
                 {IMC_SAW_TAGGED_NO, "tag-NO"},
                 {IMC_SAW_TAGGED_BAD, "tag-BAD"},
                 {IMC_SAW_FOREIGN, "FOREIGN"},
                 {IMC_SAW_GARBAGE, "GARBAGE"}};
    size_t i;

    for (i = 0; i < COUNT(names); i++)
        if (names[i].event == event)
            return names[i].name;
    return "?";
}

/* One piece, in memory of exactly its size. Stops at what is fatal, as the engine does. */
static void feed(seen *s, const char *bytes, size_t count)
{
    char *exact = malloc(count > 0 ? count : 1);
    const char *at = exact;

    assert_non_null(exact);
    memcpy(exact, bytes, count);
    while (at < exact + count && strstr(s->events, "FOREIGN") == 0 && strstr(s->events, "GARBAGE") == 0) {
        int saw;

        if (imc_responses_is_new_line(&s->engine.reader)) { /* the engine begins each line */
            imc_responses_begin_line(&s->engine.reader);
            s->engine.reader.wants_base64 = (uint8_t)s->wants_base64;
        }
        saw = imc_responses_next(&s->engine, &at, exact + count);

        if (saw == IMC_SAW_NOTHING && s->engine.error != 0)
            break; /* somebody has cancelled: nothing more is read */
        if (saw == IMC_SAW_NOTHING) {
            assert_true(at == exact + count);
            continue;
        }
        assert_true(strlen(s->events) + 12 < sizeof s->events);
        if (s->events[0] != '\0')
            strcat(s->events, " ");
        strcat(s->events, name_of(saw));
    }
    free(exact);
}

static void same(const char *what, const char *got, const char *expected, const char *input, size_t place)
{
    if (strcmp(got, expected) != 0)
        fail_msg("%s\nat %zu: %s is '%s', want '%s'", input, place, what, got, expected);
}

/* All that may be decided by, in one text; `listed` and the challenge of the last line too. */
static void compare(const seen *a, const seen *b, const char *input, size_t place)
{
    same("events", a->events, b->events, input, place);
    same("stream", a->stream, b->stream, input, place);
    same("log", a->log, b->log, input, place);
    same("code", a->engine.reader.code, b->engine.reader.code, input, place);
    same("text", a->engine.reader.text, b->engine.reader.text, input, place);
    assert_int_equal(a->engine.reader.listed, b->engine.reader.listed);
    assert_int_equal(a->engine.reader.answer, b->engine.reader.answer);
    assert_int_equal(a->engine.reader.base64_bad, b->engine.reader.base64_bad);
    assert_int_equal(a->engine.reader.challenge, b->engine.reader.challenge);
    assert_memory_equal(a->engine.writer.out.bytes, b->engine.writer.out.bytes, IMAPCONNECT_WRITE_SIZE);
    assert_int_equal(a->list.count, b->list.count);
    assert_int_equal(a->list.used, b->list.used);
    assert_int_equal(a->list.truncated, b->list.truncated);
    assert_int_equal(a->list.cut, b->list.cut);
    assert_memory_equal(a->list_text, b->list_text, sizeof a->list_text);
}

/* Reads the input at once, and leaves what was seen; then in all other ways, which must show the same. */
static seen *read_bytes(const char *input, size_t count, const char *tag, int wants_base64)
{
    seen *whole = malloc(sizeof *whole), *other = malloc(sizeof *other);
    size_t size, at;

    assert_non_null(whole);
    assert_non_null(other);
    begin(whole, tag, wants_base64);
    feed(whole, input, count);
    if (strstr(whole->events, "FOREIGN") == 0 && strstr(whole->events, "GARBAGE") == 0) {
        assert_int_equal(whole->raw_used, count); /* every byte once, in order, unaltered */
        assert_memory_equal(whole->raw, input, count);
    }
    for (size = 1; size < count; size++) {
        begin(other, tag, wants_base64);
        for (at = 0; at < count; at += size)
            feed(other, input + at, size < count - at ? size : count - at);
        compare(other, whole, input, size);
    }
    for (at = 1; at < count; at++) {
        begin(other, tag, wants_base64);
        feed(other, input, at);
        feed(other, input + at, count - at);
        compare(other, whole, input, at);
    }
    free(other);
    return whole;
}

static seen *read_text(const char *input)
{
    return read_bytes(input, strlen(input), "a7", 0);
}

static void expect_events(const char *input, const char *events)
{
    seen *s = read_text(input);

    same("events", s->events, events, input, 0);
    free(s);
}

/* ---- events ---- */

static void every_kind_of_line(void **state)
{
    (void)state;
    expect_events("* OK x\r\n", "OK");
    expect_events("* NO x\r\n", "NO");
    expect_events("* BAD x\r\n", "BAD");
    expect_events("* BYE x\r\n", "BYE");
    expect_events("* PREAUTH x\r\n", "PREAUTH");
    expect_events("* CAPABILITY IMAP4rev1\r\n", "CAPABILITY");
    expect_events("* 3 EXISTS\r\n", "EXISTS");
    expect_events("* FLAGS (\\Seen)\r\n", "DATA");
    expect_events("* LIST () \"/\" {5}\r\nINBOX\r\n", "DATA");
    expect_events("* OKAY x\r\n", "DATA");
    expect_events("+ x\r\n", "+");
    expect_events("+ \r\n", "+");
    expect_events("+\r\n", "+");
    expect_events("a7 OK x\r\n", "tag-OK");
    expect_events("a7 NO x\r\n", "tag-NO");
    expect_events("a7 BAD x\r\n", "tag-BAD");
    expect_events("* 1 EXISTS\r\n* OK x\r\na7 OK x\r\n", "EXISTS OK tag-OK");
}

/* RFC 3501 sections 7.3 and 7.4: a number, and what it counts. */
static void expect_number(const char *input, const char *events, uint32_t number)
{
    seen *s = read_text(input);

    same("events", s->events, events, input, 0);
    assert_true(s->engine.reader.number == number);
    free(s);
}

static void responses_with_a_number(void **state)
{
    (void)state;
    expect_number("* 3 EXISTS\r\n", "EXISTS", 3);
    expect_number("* 0 RECENT\r\n", "RECENT", 0);
    expect_number("* 44 EXPUNGE\r\n", "EXPUNGE", 44);
    expect_number("* 12 FETCH (FLAGS (\\Seen))\r\n", "FETCH", 12);
    expect_number("* 12 FETCH (BODY[] {5}\r\nhello X {0}\r\n)\r\n", "FETCH", 12); /* a literal has one of its own */
    expect_number("* 4294967295 exists\r\n", "EXISTS", 4294967295u);
    expect_number("* 0000000007 Expunge\r\n", "EXPUNGE", 7);
    expect_events("* 3 EXISTSX\r\n* 3 EXIST\r\n* 3 STORE\r\n* 3 FETCHED\r\n", "DATA DATA DATA DATA");
    expect_events("* EXISTS\r\n* FETCH (FLAGS ())\r\n", "DATA DATA"); /* without one they say nothing */
    expect_events("* 3\r\n", "GARBAGE");
    expect_events("* 3 \r\n", "GARBAGE");
    expect_events("* 3  EXISTS\r\n", "GARBAGE");
    expect_events("* 3x EXISTS\r\n", "GARBAGE");
    expect_events("* 3. EXISTS\r\n", "GARBAGE");
    expect_events("* 4294967296 EXISTS\r\n", "GARBAGE");
    expect_events("* 00000000003 EXISTS\r\n", "GARBAGE");
    expect_events("* 33333333333333333333333333333333333333 EXISTS\r\n", "GARBAGE");
}

/* SPEC.md section 4: keywords in any case, tags exactly. */
static void letter_case(void **state)
{
    (void)state;
    expect_events("* ok x\r\n* No x\r\n* bAD x\r\n* bye x\r\n* PreAuth x\r\n* capability x\r\n",
                  "OK NO BAD BYE PREAUTH CAPABILITY");
    expect_events("a7 ok x\r\n", "tag-OK");
    expect_events("A7 OK x\r\n", "FOREIGN");
}

static void tags_match_exactly(void **state)
{
    (void)state;
    expect_events("a8 OK x\r\n", "FOREIGN");
    expect_events("a OK x\r\n", "FOREIGN");
    expect_events("a77 OK x\r\n", "FOREIGN");
    expect_events("a07 OK x\r\n", "FOREIGN");
    expect_events("7 OK x\r\n", "FOREIGN");
    expect_events("** OK x\r\n", "FOREIGN");
    expect_events("++ x\r\n", "FOREIGN");
    expect_events("a7xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx OK x\r\n", "FOREIGN");
    expect_events("* OK x\r\nok OK x\r\n", "OK FOREIGN");
}

/* No command is outstanding: then no tag is ours, the empty one least of all. */
static void without_a_tag_all_are_foreign(void **state)
{
    static const char *const lines[] = {"a7 OK x\r\n", "a OK x\r\n", "a1 NO\r\n"};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(lines); i++) {
        seen *s = read_bytes(lines[i], strlen(lines[i]), "", 0);
        same("events", s->events, "FOREIGN", lines[i], 0);
        free(s);
    }
}

static void responses_without_text(void **state)
{
    (void)state;
    expect_events("* OK\r\n", "OK");
    expect_events("* BYE \r\n", "BYE");
    expect_events("a7 OK\r\n", "tag-OK");
    expect_events("a7 NO \r\n", "tag-NO");
    expect_events("* SEARCH\r\n", "DATA");
    expect_events("* CAPABILITY\r\n", "CAPABILITY");
}

static void against_the_grammar(void **state)
{
    static const char nul[] = "* OK a\0b\r\n";
    seen *s;

    (void)state;
    expect_events("\r\n", "GARBAGE");
    expect_events("*\r\n", "GARBAGE");
    expect_events("* \r\n", "GARBAGE");
    expect_events("*  OK x\r\n", "GARBAGE");
    expect_events(" * OK x\r\n", "GARBAGE");
    expect_events("a7\r\n", "GARBAGE");
    expect_events("a7 \r\n", "GARBAGE");
    expect_events("a7 OKAY\r\n", "GARBAGE");
    expect_events("a7 BYE x\r\n", "GARBAGE");
    expect_events("a7 PREAUTH x\r\n", "GARBAGE");
    expect_events("a7 CAPABILITY x\r\n", "GARBAGE");
    expect_events("a7 3 EXISTS\r\n", "GARBAGE");
    expect_events("* OK x\n", "GARBAGE");
    expect_events("* OK x\rx\r\n", "GARBAGE");
    expect_events("* 1 EXISTS\na7 OK x\r\n", "GARBAGE");
    expect_events("* LIST {5+}\r\nINBOX\r\n", "GARBAGE");
    expect_events("* LIST {4294967296}\r\n", "GARBAGE");
    expect_events("* LIST \"a\r\n", "GARBAGE");
    s = read_bytes(nul, sizeof nul - 1, "a7", 0);
    same("events", s->events, "GARBAGE", "NUL", 0);
    free(s);
}

/* A literal's bytes may look like anything. */
static void lines_inside_literals_are_none(void **state)
{
    (void)state;
    expect_events("* 1 FETCH (BODY[] {11}\r\na7 OK bye\r\n)\r\na7 OK x\r\n", "FETCH tag-OK");
    expect_events("* 1 FETCH (BODY[] {7}\r\n* BYE\r\n)\r\n", "FETCH");
    expect_events("* OK see {5}\r\na7 OK x\r\n", "OK tag-OK"); /* text */
    expect_events("+ see {5}\r\na7 OK x\r\n", "+ tag-OK");
    expect_events("a7 NO see ~{5}\r\n* 1 EXISTS\r\n", "tag-NO EXISTS");
    expect_events("* BYE {1}\r\n* PREAUTH {1}\r\n* BAD {1}\r\n", "BYE PREAUTH BAD");
}

/* ---- capabilities ---- */

static unsigned bit_of(const char *atom)
{
    size_t i;

    for (i = 0; i < COUNT(imc_responses_capabilities); i++)
        if (strcmp(imc_responses_capabilities[i].atom, atom) == 0)
            return imc_responses_capabilities[i].bit;
    fail_msg("%s is not in the table", atom);
    return 0;
}

/* `expected` are the atoms that must be known from this line: i for IMAP4rev1, s for STARTTLS, l for LOGINDISABLED, c
   for AUTH=CRAM-MD5, d for IDLE, m for MOVE, u for UIDPLUS, p for LITERAL+, n for LITERAL-; r for SASL-IR, a for AUTH=PLAIN, x
   for XOAUTH2, o for OAUTHBEARER, e for EXTERNAL, 1 for SCRAM-SHA-1, 2 for SCRAM-SHA-256, b for -PLUS; "-" when there was
   a list, and "" when there was none. Each has a bit of its own. */
static void expect_capabilities(const char *input, const char *expected)
{
    static const struct {
        char letter;
        const char *atom;
    } atoms[] = {{'i', "IMAP4rev1"},
                 {'s', "STARTTLS"},
                 {'l', "LOGINDISABLED"},
                 {'c', "AUTH=CRAM-MD5"},
                 {'d', "IDLE"},
                 {'m', "MOVE"},
                 {'u', "UIDPLUS"},
                 {'p', "LITERAL+"},
                 {'n', "LITERAL-"},
                 {'r', "SASL-IR"},
                 {'a', "AUTH=PLAIN"},
                 {'x', "AUTH=XOAUTH2"},
                 {'o', "AUTH=OAUTHBEARER"},
                 {'e', "AUTH=EXTERNAL"},
                 {'1', "AUTH=SCRAM-SHA-1"},
                 {'2', "AUTH=SCRAM-SHA-256"},
                 {'b', "AUTH=SCRAM-SHA-256-PLUS"}};
    seen *s = read_text(input);
    unsigned bits = s->engine.reader.listed, known = 0;
    size_t i;

    if ((bits != 0) != (expected[0] != '\0'))
        fail_msg("%s: %x", input, bits);
    for (i = 0; i < COUNT(atoms); i++) {
        unsigned bit = bit_of(atoms[i].atom);

        assert_true(bit != 0 && (bit & (bit - 1)) == 0 && (known & bit) == 0);
        known |= bit;
        if (((bits & bit) != 0) != (strchr(expected, atoms[i].letter) != 0))
            fail_msg("%s: %s is wrong in %x", input, atoms[i].atom, bits);
    }
    free(s);
}

/* SECURITY.md section 3, 14 and 28: whole atoms, any case. */
static void capability_atoms_are_exact(void **state)
{
    (void)state;
    expect_capabilities("* CAPABILITY IMAP4rev1\r\n", "i");
    expect_capabilities("* CAPABILITY imap4REV1 starttls LoginDisabled auth=cram-md5\r\n", "islc");
    expect_capabilities("* CAPABILITY STARTTLS IMAP4rev1\r\n", "is");
    expect_capabilities("* CAPABILITY AUTH=CRAM-MD5X\r\n", "-");
    expect_capabilities("* CAPABILITY XAUTH=CRAM-MD5\r\n", "-");
    expect_capabilities("* CAPABILITY AUTH=CRAM-MD AUTH= CRAM-MD5\r\n", "-");
    expect_capabilities("* CAPABILITY AUTH=CRAM-MD5-AND-MORE-AND-MORE-AND-MORE\r\n", "-");
    expect_capabilities("* CAPABILITY IMAP4rev2 IMAP4 IMAP4rev1x IMAP4rev11\r\n", "-");
    expect_capabilities("* CAPABILITY STARTTL STARTTLSX XSTARTTLS LOGINDISABLE LOGINDISABLEDX LOGIN DISABLED\r\n",
                        "-");
    expect_capabilities("* CAPABILITY\r\n", "");
    expect_capabilities("* CAPABILITY \r\n", "");
    expect_capabilities("* CAPABILITY X\r\n", "-");
    expect_capabilities("* CAPABILITY STARTTLS \r\n", "s");
    expect_capabilities("* CAPABILITY IDLE\r\n", "d");
    expect_capabilities("* CAPABILITY idle Move uidplus literal+ literal-\r\n", "dmupn");
    expect_capabilities("* CAPABILITY LITERAL+ IMAP4rev1 UIDPLUS\r\n", "ipu");
    expect_capabilities("* CAPABILITY SASL-IR AUTH=PLAIN AUTH=XOAUTH2 AUTH=OAUTHBEARER AUTH=EXTERNAL\r\n", "raxoe");
    expect_capabilities("* CAPABILITY AUTH=PLAIN\r\n", "a");
    expect_capabilities("* CAPABILITY sasl-ir auth=Scram-Sha-256\r\n", "r2");
    expect_capabilities("* CAPABILITY AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-1\r\n", "b1");
    expect_capabilities("* CAPABILITY AUTH=SCRAM-SHA-2 AUTH=SCRAM-SHA-512 AUTH=PLAINX SASL\r\n", "-");
    expect_capabilities("* CAPABILITY AUTH=SCRAM-SHA-256-PLUS-AND-NINE\r\n", "-"); /* 32 bytes */
    expect_capabilities("* CAPABILITY LITERAL MOVED REMOVE IDLER XIDLE UIDPLUS2 LITERAL* LITERAL+-\r\n", "-");
}

static void capabilities_in_a_response_code(void **state)
{
    (void)state;
    expect_capabilities("* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n", "is");
    expect_capabilities("* OK [capability imap4rev1 AUTH=CRAM-MD5]\r\n", "ic");
    expect_capabilities("a7 OK [CAPABILITY IMAP4rev1]\r\n", "i");
    expect_capabilities("* OK [CAPABILITY IMAP4rev1\r\n", ""); /* not closed */
    expect_capabilities("* OK [CAPABILITY]\r\n", "");
    expect_capabilities("* OK [CAPABILITIES IMAP4rev1]\r\n", "");
    expect_capabilities("* OK [XCAPABILITY IMAP4rev1]\r\n", "");
    expect_capabilities("* OK [ALERT] [CAPABILITY IMAP4rev1]\r\n", "");
    expect_capabilities("* OK x [CAPABILITY IMAP4rev1]\r\n", "");
    expect_capabilities("* OK [CAPABILITY STARTTLS] IMAP4rev1\r\n", "s");
    expect_capabilities("a7 OK [CAPABILITY IMAP4rev1 LITERAL- IDLE MOVE]\r\n", "indm");
    expect_capabilities("* OK CAPABILITY IMAP4rev1\r\n", "");
    expect_capabilities("* OK [CAPABILITY IMAP4rev1] x\r\n* OK x\r\n", ""); /* the next line has its own */
    expect_capabilities("* CAPABILITY IMAP4rev1\r\n* 1 EXISTS\r\n", "");
}

/* ---- code and text ---- */

/* The flags of the code PERMANENTFLAGS, RFC 3501 section 7.1: a letter each for \Answered, \Deleted, \Draft (as w),
   \Flagged, \Recent, \Seen and \*. */
static void expect_permanent(const char *input, const char *expected)
{
    seen *s = read_text(input);
    imapconnect_flags flags;
    char letters[8];
    size_t used = 0;

    imc_rows_set_flags(&flags, s->engine.reader.found);
    letters[used] = 'a', used += flags.answered;
    letters[used] = 'd', used += flags.deleted;
    letters[used] = 'w', used += flags.draft;
    letters[used] = 'f', used += flags.flagged;
    letters[used] = 'r', used += flags.recent;
    letters[used] = 's', used += flags.seen;
    letters[used] = '*', used += flags.keywords;
    letters[used] = '\0';
    same("permanent flags", letters, expected, input, 0);
    free(s);
}

static void permanent_flags_are_whole_words(void **state)
{
    (void)state;
    expect_permanent("* OK [PERMANENTFLAGS (\\Deleted \\Seen \\*)] L\r\n", "ds*");
    expect_permanent("* OK [permanentflags (\\ANSWERED \\flagged \\Draft)]\r\n", "awf");
    expect_permanent("* OK [PERMANENTFLAGS (\\Seen)] x\r\n", "s");
    expect_permanent("* OK [PERMANENTFLAGS ()] none\r\n", "");
    expect_permanent("* OK [PERMANENTFLAGS (\\Seen  \\Draft) ] x\r\n", "ws"); /* more spaces than there should be */
    expect_permanent("* OK [PERMANENTFLAGS ( \\Seen )] x\r\n", "s");
    expect_permanent("* OK [PERMANENTFLAGS (Seen \\Seenx \\See $Forwarded *)] x\r\n", "");
    expect_permanent("* OK [PERMANENTFLAGS (a-keyword-longer-than-any-atom-that-we-know \\Draft)] x\r\n", "w");
    expect_permanent("* OK [PERMANENTFLAGSX (\\Seen)] x\r\n", "");
    expect_permanent("* OK [X] PERMANENTFLAGS (\\Seen)\r\n", "");
    expect_permanent("* OK x [PERMANENTFLAGS (\\Seen)]\r\n", "");
}

static void expect_said(const char *input, const char *code, const char *text)
{
    seen *s = read_text(input);

    same("code", s->engine.reader.code, code, input, 0);
    same("text", s->engine.reader.text, text, input, 0);
    free(s);
}

static void code_and_text_are_kept(void **state)
{
    (void)state;
    expect_said("a7 NO [AUTHENTICATIONFAILED] Wrong password.\r\n", "AUTHENTICATIONFAILED", "Wrong password.");
    expect_said("a7 NO Wrong password.\r\n", "", "Wrong password.");
    expect_said("a7 NO [X]\r\n", "X", "");
    expect_said("a7 NO [X] \r\n", "X", "");
    expect_said("a7 NO [X]y\r\n", "X", "y");
    expect_said("a7 NO []\r\n", "", "");
    expect_said("a7 NO\r\n", "", "");
    expect_said("a7 NO \r\n", "", "");
    expect_said("* OK [UIDVALIDITY 3857529045] ok\r\n", "UIDVALIDITY 3857529045", "ok");
    expect_said("* OK [PERMANENTFLAGS (\\Deleted \\*)] L\r\n", "PERMANENTFLAGS (\\Deleted \\*)", "L");
    expect_said("* OK x [Y] z\r\n", "", "x [Y] z");
    expect_said("* NO [A] one\r\n* BAD two\r\n", "", "two"); /* the last one counts */
    expect_said("* NO [A] one\r\n* 1 EXISTS\r\n+ x\r\n", "A", "one");
    expect_said("* OK [open\r\n", "", "[open"); /* never closed, so it is no code */
    expect_said("* OK [open a b\r\n", "", "[open a b");
    expect_said("* OK [CAPABILITY IMAP4rev1\r\n", "", "[CAPABILITY IMAP4rev1");
    expect_said("* OK [PERMANENTFLAGS (\\Seen\r\n", "", "[PERMANENTFLAGS (\\Seen");
    expect_said("* OK [open\r\n* 1 EXISTS\r\n", "", "[open"); /* which has no text of its own */
    expect_said("* OK [\r\n", "", "[");
    expect_said("* OK a\xc3\xa4\x01z\r\n", "", "a\xc3\xa4\x01z");
}

/* Each is cut to its size, RFC 3501 section 7.1 has no limit; the NUL is always there. */
static void code_and_text_are_cut(void **state)
{
    char input[1200], code[200], text[200];
    size_t count;

    (void)state;
    for (count = 29; count < 36; count++) {
        size_t kept = count < IMAPCONNECT_CODE_SIZE - 1 ? count : IMAPCONNECT_CODE_SIZE - 1;

        memset(code, 'c', count);
        code[count] = '\0';
        sprintf(input, "a7 NO [%s] t\r\n", code);
        code[kept] = '\0';
        expect_said(input, code, "t");
    }
    for (count = 77; count < 84; count++) {
        size_t kept = count < IMAPCONNECT_TEXT_SIZE - 1 ? count : IMAPCONNECT_TEXT_SIZE - 1;

        memset(text, 't', count);
        text[count] = '\0';
        sprintf(input, "a7 NO %s\r\n", text);
        text[kept] = '\0';
        expect_said(input, "", text);
    }
}

/* ---- the challenge ---- */

static void expect_challenge(const char *base64, const char *bytes, size_t count, int bad)
{
    char input[1000];
    seen *s;

    sprintf(input, "+ %s\r\n", base64);
    s = read_bytes(input, strlen(input), "a7", 1);
    same("events", s->events, "+", input, 0);
    if ((s->engine.reader.base64_bad == IMC_BASE64_BAD) != bad)
        fail_msg("'%s' is%s accepted", base64, bad ? "" : " not");
    if (!bad) {
        assert_int_equal(s->engine.reader.base64_bad, IMC_BASE64_GOOD);
        assert_int_equal(s->engine.reader.challenge, count);
        assert_memory_equal(s->engine.writer.out.bytes, bytes, count);
    }
    free(s);
}

/* SECURITY.md section 4: length a multiple of 4, exact alphabet, padding only at the end, unused bits zero. */
static void base64_is_strict(void **state)
{
    static const char *const wrong[] = {
        "Z",          "Zg",       "Zg=",    "Zm9",   "Zm9vY", "Zm9vYg=",      "=",    "====", "Z===", "Zg==Zg==",
        "Zg==Z",      "Zg===",    "Zm8=Zg", "Zm8==", "Zm9v=", "Zm9v====",     "Zm=v", "Z=9v", "=m9v", "Zh==",
        "Zm9=",       "Zm8=x",    "Zm 9v",  " Zm9v", "Zm9v ", "Zm9v\t",       "Zm9-", "Zm9_", "Zm9!", "Zm9v*",
        "Zm\xc3\xa4", "PDE=Lg==", "Zn==",   "Zv==",  "Zm/=",  "Zm9v\x0bZm9v", "Zm+=", "Zo==", "A===", "Zm9vA==="};
    size_t i;

    (void)state;
    expect_challenge("Zg==", "f", 1, 0);
    expect_challenge("Zm8=", "fo", 2, 0);
    expect_challenge("Zm9v", "foo", 3, 0);
    expect_challenge("Zm9vYg==", "foob", 4, 0);
    expect_challenge("Zm9vYmE=", "fooba", 5, 0);
    expect_challenge("Zm9vYmFy", "foobar", 6, 0);
    expect_challenge("////", "\xff\xff\xff", 3, 0);
    expect_challenge("++++", "\xfb\xef\xbe", 3, 0);
    expect_challenge("AAAA", "\0\0\0", 3, 0);
    expect_challenge("PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+",
                     "<1896.697170952@postoffice.reston.mci.net>", 42, 0);
    expect_challenge("", "", 0, 0);
    for (i = 0; i < COUNT(wrong); i++)
        expect_challenge(wrong[i], "", 0, 1);
}

/* A continuation without a space, or with nothing behind it, is an empty challenge. */
static void empty_challenges(void **state)
{
    seen *s = read_bytes("+\r\n", 3, "a7", 1);

    (void)state;
    assert_int_equal(s->engine.reader.challenge, 0);
    assert_int_equal(s->engine.reader.base64_bad, IMC_BASE64_GOOD);
    free(s);
}

/* 512 bytes decoded fit, 513 do not; nothing is written behind the buffer. SECURITY.md section 3, 16. */
static void the_longest_challenge(void **state)
{
    seen *s = malloc(sizeof *s);
    char input[800];
    size_t groups, i;

    (void)state;
    assert_non_null(s);
    for (groups = 169; groups < 175; groups++) {
        size_t bytes = 3 * groups + 2;

        begin(s, "a7", 1);
        strcpy(input, "+ ");
        for (i = 0; i < groups; i++)
            strcat(input, "YWJj");
        strcat(input, "YWI=\r\n");
        for (i = 0; input[i] != '\0'; i++)
            feed(s, input + i, 1);
        assert_string_equal(s->events, "+");
        assert_int_equal(s->engine.reader.base64_bad, bytes <= 512 ? IMC_BASE64_GOOD : IMC_BASE64_TOO_LONG);
        assert_int_equal(s->engine.reader.challenge, bytes <= 512 ? bytes : 512);
        assert_memory_equal(s->engine.writer.out.bytes, "abcabc", 6);
        assert_int_equal(s->engine.writer.counter, 0);
    }
    free(s);
}

/* ---- the stream ---- */

static void expect_stream(const char *input, const char *stream)
{
    seen *s = read_text(input);

    same("stream", s->stream, stream, input, 0);
    free(s);
}

static void the_stream_in_order(void **state)
{
    (void)state;
    expect_stream("* 1 EXISTS\r\na7 OK x\r\n", "[* 1 EXISTS]$[a7 OK x]$");
    expect_stream("+\r\n+ \r\n", "[+]$[+ ]$");
    expect_stream("* L {5}\r\nhello x\r\n", "[* L {5}]{5=hello}[ x]$");
    expect_stream("* L {5}\r\nhello\r\n", "[* L {5}]{5=hello}$");
    expect_stream("* L {0}\r\n\r\n", "[* L {0}]{0=}$");
    expect_stream("* L {2}\r\n\r\n {3}\r\n\r\n\n)\r\n", "[* L {2}]{2=\r\n}[ {3}]{3=\r\n\n}[)]$");
    expect_stream("* OK [X] {5}\r\n", "[* OK [X] {5}]$");
    expect_stream("* CAPABILITY A  B \r\n", "[* CAPABILITY A  B ]$");
}

/* What comes before an error is still shown, so that a log says what was wrong; the line has no end. */
static void the_stream_before_an_error(void **state)
{
    (void)state;
    expect_stream("* OK abc\ndef\r\n", "[* OK abc");
    expect_stream("* L abc\rdef\r\n", "[* L abc");
}

/* SPEC.md section 4: with STARTTLS the list begins inside TLS. The stream has both, and is told when to forget. */
static void nothing_from_before_tls_is_in_the_list(void **state)
{
    seen *s = malloc(sizeof *s);

    (void)state;
    assert_non_null(s);
    begin(s, "a7", 0);
    s->engine.secure = IMAPCONNECT_STARTTLS;
    feed(s, "* OK before\r\n", 13);
    assert_int_equal(s->list.count, 0);
    assert_null(imapconnect_list_next(&s->list, 0));
    s->engine.encrypted = 1;
    feed(s, "* OK after\r\n", 12);
    assert_int_equal(s->list.count, 1);
    assert_string_equal(imapconnect_list_next(&s->list, 0), "* OK after");
    assert_string_equal(s->stream, "[* OK before]$[* OK after]$");
    assert_string_equal(s->log, "S: * OK before\nS: * OK after\n");
    free(s);
}

/* Not zero from the callback is the end, whichever call it is; and the first error stays. */
static void the_stream_can_cancel(void **state)
{
    seen *s = malloc(sizeof *s);
    int k;

    (void)state;
    assert_non_null(s);
    for (k = 1; k <= 6; k++) {
        begin(s, "a7", 0);
        s->cancel_stream_at = k; /* LINE, LITERAL_BEGIN, LITERAL, LITERAL_END, LINE, LINE_END */
        feed(s, "* L {1}\r\nx)\r\n", 13);
        assert_int_equal(s->engine.error, IMAPCONNECT_E_CANCELLED);
    }
    begin(s, "a7", 0);
    s->cancel_stream_at = 7;
    feed(s, "* L {1}\r\nx)\r\n", 13);
    assert_int_equal(s->engine.error, 0);
    imc_engine_fail(&s->engine, IMAPCONNECT_E_TIMEOUT);
    imc_engine_fail(&s->engine, IMAPCONNECT_E_BYE);
    assert_int_equal(s->engine.error, IMAPCONNECT_E_TIMEOUT);
    free(s);
}

/* Only the bytes of a literal extend the time limit (SPEC.md section 1, time-out). */
static void only_literal_bytes_are_progress(void **state)
{
    seen *s = malloc(sizeof *s);

    (void)state;
    assert_non_null(s);
    begin(s, "a7", 0);
    feed(s, "* 1 EXISTS\r\n* OK x\r\n* L {3}\r\n", 29);
    assert_int_equal(s->engine.progress, 0);
    feed(s, "a", 1);
    assert_int_equal(s->engine.progress, 1);
    s->engine.progress = 0;
    feed(s, "bc", 2);
    s->engine.progress = 0;
    feed(s, " {0}\r\n x\r\n", 10);
    assert_int_equal(s->engine.progress, 0);
    free(s);
}

/* ---- the list ---- */

/* Puts lines into a list of this size, in memory of that size, and compares. Entries are joined with '|'. */
static void expect_list(size_t size, const char *input, const char *entries, int truncated, int cut)
{
    size_t step, count = strlen(input), i;

    for (step = 1; step <= count; step++) {
        seen *s = malloc(sizeof *s);
        char *text = malloc(size > 0 ? size : 1), joined[400] = "";
        const char *entry = 0;
        size_t found = 0;

        assert_non_null(s);
        assert_non_null(text);
        begin(s, "a7", 0);
        imapconnect_list_init(&s->list, text, size);
        for (i = 0; i < count; i += step)
            feed(s, input + i, step < count - i ? step : count - i);
        while ((entry = imapconnect_list_next(&s->list, entry)) != 0) {
            strcat(joined, found++ ? "|" : "");
            strcat(joined, entry);
        }
        same("list", joined, entries, input, size);
        assert_int_equal(s->list.count, found);
        assert_int_equal(s->list.truncated, truncated);
        assert_int_equal(s->list.cut, cut);
        assert_in_range(s->list.used, 0, size);
        assert_true(s->events[0] != '\0'); /* the protocol goes on in step */
        free(text);
        free(s);
    }
}

static void lists_of_every_size(void **state)
{
    static const char two[] = "* 1 X\r\n+ y\r\n"; /* entries of 5 and 3 bytes: 6 + 4 with their NULs */

    (void)state;
    expect_list(100, two, "* 1 X|+ y", 0, 0);
    expect_list(10, two, "* 1 X|+ y", 0, 0); /* exact fit */
    expect_list(9, two, "* 1 X|+ ", 1, 1);
    expect_list(8, two, "* 1 X|+", 1, 1);
    expect_list(7, two, "* 1 X", 1, 0); /* no room for a byte and its NUL */
    expect_list(6, two, "* 1 X", 1, 0);
    expect_list(5, two, "* 1 ", 1, 1);
    expect_list(4, two, "* 1", 1, 1);
    expect_list(3, two, "* ", 1, 1);
    expect_list(2, two, "*", 1, 1);
    expect_list(1, two, "", 1, 0);
    expect_list(0, two, "", 1, 0);
}

/* After something was left out nothing more comes, even if it would fit: there are no holes. */
static void a_truncated_list_has_no_holes(void **state)
{
    (void)state;
    expect_list(12, "* 1 XXXXX\r\n* 2 YYYYYY\r\n+\r\n", "* 1 XXXXX|*", 1, 1);
    expect_list(11, "* 1 XXXXX\r\n* 2 YYYYYY\r\n+\r\n", "* 1 XXXXX", 1, 0);
}

static void the_list_leaves_out_literals(void **state)
{
    (void)state;
    expect_list(100, "* L {5}\r\nhello x\r\n* 2 Y\r\n", "* L {5} x|* 2 Y", 0, 0);
    expect_list(100, "* L {5}\r\nhello {2}\r\n\r\n)\r\n", "* L {5} {2})", 0, 0);
    expect_list(8, "* L {5}\r\nhello\r\n", "* L {5}", 0, 0);
}

static void a_list_without_a_buffer(void **state)
{
    imapconnect_list list;

    (void)state;
    imapconnect_list_init(&list, 0, 100);
    assert_int_equal(list.size, 0);
    imc_list_put(&list, "abc", 3);
    assert_int_equal(list.count, 0);
    assert_int_equal(list.truncated, 1);
    assert_null(imapconnect_list_next(&list, 0));
}

static void the_end_of_an_entry_is_known(void **state)
{
    seen *s = malloc(sizeof *s);

    (void)state;
    assert_non_null(s);
    begin(s, "a7", 0);
    feed(s, "* 1 EX", 6);
    assert_int_equal(s->list.unfinished, 1);
    feed(s, "ISTS\r", 5);
    assert_int_equal(s->list.unfinished, 1);
    feed(s, "\n", 1);
    assert_int_equal(s->list.unfinished, 0);
    assert_string_equal(imapconnect_list_next(&s->list, 0), "* 1 EXISTS");
    imc_list_clear(&s->list);
    assert_null(imapconnect_list_next(&s->list, 0));
    free(s);
}

/* ---- the log ---- */

static void expect_log(const char *input, const char *log)
{
    seen *s = read_text(input);

    same("log", s->log, log, input, 0);
    free(s);
}

/* SECURITY.md section 3, 26. */
static void the_log_escapes(void **state)
{
    (void)state;
    expect_log("* OK hi\r\na7 OK x\r\n", "S: * OK hi\nS: a7 OK x\n");
    expect_log("* OK \x01\x1b[2J\x1f\x7f\x80\xff ~\r\n", "S: * OK \\x01\\x1b[2J\\x1f\\x7f\\x80\\xff ~\n");
    expect_log("* OK \\x01 %s %n\r\n", "S: * OK \\x01 %s %n\n");
    expect_log("* L {5}\r\nhel\r\n x\r\n", "S: * L {5}\nS:  x\n"); /* the bytes of literals are left out */
}

/* Pieces at exactly IMAPCONNECT_LOG_SIZE, and an escape is never cut. */
static void long_lines_come_in_pieces(void **state)
{
    seen *s = malloc(sizeof *s);
    char line[400], expected[500];
    size_t count;

    (void)state;
    assert_non_null(s);
    for (count = 1; count < 3 * IMAPCONNECT_LOG_SIZE; count++) {
        size_t left = count, used = 0;

        begin(s, "", 0);
        memset(line, 'x', count);
        imc_log_put(&s->engine, IMAPCONNECT_LOG_RECEIVED, line, count);
        imc_log_end(&s->engine);
        for (; left > IMAPCONNECT_LOG_SIZE; left -= IMAPCONNECT_LOG_SIZE)
            used += (size_t)sprintf(expected + used, "S: %.*s+\n", IMAPCONNECT_LOG_SIZE, line);
        sprintf(expected + used, "S: %.*s\n", (int)left, line);
        same("log", s->log, expected, "", count);
    }
    for (count = IMAPCONNECT_LOG_SIZE - 6; count <= IMAPCONNECT_LOG_SIZE; count++) {
        begin(s, "", 0);
        memset(line, 'x', count);
        line[count] = '\x02';
        imc_log_put(&s->engine, IMAPCONNECT_LOG_RECEIVED, line, count + 1);
        imc_log_end(&s->engine);
        sprintf(expected, count + 4 <= IMAPCONNECT_LOG_SIZE ? "S: %.*s\\x02\n" : "S: %.*s+\nS: \\x02\n", (int)count,
                line);
        same("log", s->log, expected, "escape", count);
    }
    free(s);
}

/* Whoever writes in the other direction ends the line that is open. */
static void a_change_of_direction_ends_the_line(void **state)
{
    seen *s = malloc(sizeof *s);

    (void)state;
    assert_non_null(s);
    begin(s, "", 0);
    imc_log_put(&s->engine, IMAPCONNECT_LOG_RECEIVED, "abc", 3);
    imc_log_put(&s->engine, IMAPCONNECT_LOG_SENT, "de", 2);
    imc_log_put(&s->engine, IMAPCONNECT_LOG_SENT, "f", 1);
    imc_log_end(&s->engine);
    imc_log_end(&s->engine);
    imc_log_note(&s->engine, "note");
    assert_string_equal(s->log, "S: abc\nC: def\nN: note\n");
    free(s);
}

static void the_log_can_cancel(void **state)
{
    seen *s = malloc(sizeof *s);

    (void)state;
    assert_non_null(s);
    begin(s, "a7", 0);
    s->cancel_at = 2;
    feed(s, "* OK x\r\n", 8);
    assert_int_equal(s->engine.error, 0);
    feed(s, "* OK x\r\n", 8);
    assert_int_equal(s->engine.error, IMAPCONNECT_E_CANCELLED);
    free(s);
}

/* Nobody listens: no callback, no list, no log. */
static void without_anyone_who_listens(void **state)
{
    seen *s = malloc(sizeof *s);

    (void)state;
    assert_non_null(s);
    begin(s, "a7", 0);
    s->config.on_response = 0;
    s->engine.on_log = 0;
    s->engine.list = 0;
    feed(s, "* OK x\r\n* L {5}\r\nhello\r\na7 NO [X] y\r\n", 37);
    assert_string_equal(s->events, "OK DATA tag-NO");
    imc_log_note(&s->engine, "x");
    assert_int_equal(s->engine.log_used, 0);
    free(s);
}

/* A line that nobody keeps may be of any length, SECURITY.md section 3, 22. */
static void a_line_of_a_megabyte(void **state)
{
    seen *s = malloc(sizeof *s);
    char block[1000];
    int i;

    (void)state;
    assert_non_null(s);
    begin(s, "a7", 0);
    s->config.on_response = 0;
    s->engine.on_log = 0;
    memset(block, '(', sizeof block);
    feed(s, "* L ", 4);
    for (i = 0; i < 1000; i++)
        feed(s, block, sizeof block);
    feed(s, "\r\n* OK ", 7);
    for (i = 0; i < 1000; i++)
        feed(s, block, sizeof block);
    feed(s, "\r\n* ", 4);
    for (i = 0; i < 1000; i++)
        feed(s, block, sizeof block);
    feed(s, "\r\n", 2);
    assert_string_equal(s->events, "DATA OK DATA");
    assert_int_equal(s->list.truncated, 1);
    assert_int_equal(s->list.used, sizeof s->list_text);
    free(s);
}

/* A small generator, the same in every run. */
static uint32_t seed = 20260102;

static uint32_t pick(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

/* Lines with some bytes changed for those that mean something: whatever they are then, no cut makes a difference. */
static void changed_lines_in_every_piece(void **state)
{
    static const char *const lines[] = {"* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\na7 OK\r\n",
                                        "* L \"a\\\"b\" {3}\r\nabc {0}\r\n)\r\n* 1 E\r\n",
                                        "+ PDEuMkB4Pg==\r\na7 NO [X y] z\r\n",
                                        "* CAPABILITY A AUTH=CRAM-MD5 B\r\n+\r\n", "a7 BAD [] x\r\n* ~{2}\r\nab\r\n"};
    static const char bytes[] = {'\r', '\n', '\0', ' ', '"', '\\', '{', '}',   '+',
                                 '3',  '0',  '[',  ']', '*', 'a',  '=', '\xff'};
    int i;

    (void)state;
    for (i = 0; i < 500; i++) {
        const char *line = lines[pick(COUNT(lines))];
        size_t count = strlen(line);
        char text[80];
        uint32_t changes = 1 + pick(4);

        assert_true(count < sizeof text);
        memcpy(text, line, count + 1);
        while (changes-- > 0)
            text[pick((uint32_t)count)] = bytes[pick(COUNT(bytes))];
        free(read_bytes(text, count, "a7", (int)pick(2)));
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_kind_of_line),
    cmocka_unit_test(responses_with_a_number),
    cmocka_unit_test(letter_case),
    cmocka_unit_test(tags_match_exactly),
    cmocka_unit_test(without_a_tag_all_are_foreign),
    cmocka_unit_test(responses_without_text),
    cmocka_unit_test(against_the_grammar),
    cmocka_unit_test(lines_inside_literals_are_none),
    cmocka_unit_test(capability_atoms_are_exact),
    cmocka_unit_test(capabilities_in_a_response_code),
    cmocka_unit_test(permanent_flags_are_whole_words),
    cmocka_unit_test(code_and_text_are_kept),
    cmocka_unit_test(code_and_text_are_cut),
    cmocka_unit_test(base64_is_strict),
    cmocka_unit_test(empty_challenges),
    cmocka_unit_test(the_longest_challenge),
    cmocka_unit_test(the_stream_in_order),
    cmocka_unit_test(the_stream_before_an_error),
    cmocka_unit_test(nothing_from_before_tls_is_in_the_list),
    cmocka_unit_test(the_stream_can_cancel),
    cmocka_unit_test(only_literal_bytes_are_progress),
    cmocka_unit_test(lists_of_every_size),
    cmocka_unit_test(a_truncated_list_has_no_holes),
    cmocka_unit_test(the_list_leaves_out_literals),
    cmocka_unit_test(a_list_without_a_buffer),
    cmocka_unit_test(the_end_of_an_entry_is_known),
    cmocka_unit_test(the_log_escapes),
    cmocka_unit_test(long_lines_come_in_pieces),
    cmocka_unit_test(a_change_of_direction_ends_the_line),
    cmocka_unit_test(the_log_can_cancel),
    cmocka_unit_test(without_anyone_who_listens),
    cmocka_unit_test(a_line_of_a_megabyte),
    cmocka_unit_test(changed_lines_in_every_piece),
};
TEST_MAIN(tests)
