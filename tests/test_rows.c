/* Room >>rows: the values of a response that a command asked for, one by one. A command of the test's own hears them;
   each line is cut in every way, and all ways must show the same (SECURITY.md section 3, 23). What the commands make of
   the values is in transcripts/; here are the names of mailboxes at the size of the buffer. */

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

#include "test.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What was heard: for each value where it stands, "depth.number", and what it is: 'an atom', "a string"; behind that
   "~" when it is cut; <bytes> that stream; at the end of the response "$" and how many values there were. */
typedef struct watch {
    imapconnect_config config;
    imapconnect_engine engine;
    struct imc_command command;
    char out[20000];
    size_t used;
    int last;
    const char *stream;   /* the string behind this value is to be streamed */
    const char *stop;     /* at this value the command fails */
    unsigned values, odd; /* values, and those of them whose number's parity was wrong */
} watch;

/* How long a value can be. */
#define ROOM sizeof(((imapconnect_buffer *)0)->in.text)

static void put(watch *w, const void *bytes, size_t count)
{
    assert_true(w->used + count < sizeof w->out);
    memcpy(w->out + w->used, bytes, count);
    w->used += count;
    w->out[w->used] = '\0';
}

static void put_text(watch *w, const char *text)
{
    put(w, text, strlen(text));
}

static void hear_value(watch *w)
{
    imapconnect_row *row = &w->engine.writer.out.in.row;
    const char *quote = row->string ? "\"" : "'";
    char place[16];

    w->values++;
    if (row->depth < COUNT(row->field))
        snprintf(place, sizeof place, "%u.%u", (unsigned)row->depth, (unsigned)row->field[row->depth]);
    else
        snprintf(place, sizeof place, "%u", (unsigned)row->depth);
    put_text(w, place);
    if (row->streams && row->string) {
        row->streams = 0;
        put_text(w, "> ");
        return;
    }
    assert_in_range(row->length + row->base, 0, ROOM);
    put_text(w, quote);
    put(w, imc_rows_text(&w->engine), row->length);
    put_text(w, quote);
    put_text(w, row->cut ? "~ " : " ");
    row->streams = w->stream != 0 && imc_rows_is(&w->engine, w->stream);
    if (w->stop != 0 && imc_rows_is(&w->engine, w->stop))
        imc_engine_fail(&w->engine, IMAPCONNECT_E_CANCELLED);
}

static void hear(imapconnect_engine *engine, int what, const imc_slice *piece)
{
    const imapconnect_row *row = &engine->writer.out.in.row;
    watch *w = engine->user;
    char end[16];

    if (what == IMC_TAKE_VALUE) {
        hear_value(w);
    } else if (what == IMC_TAKE_BYTES) {
        assert_true(piece->count > 0);
        put_text(w, w->last == IMC_TAKE_BYTES ? "" : "<");
        put(w, piece->bytes, piece->count);
    } else if (what == IMC_TAKE_ROW) {
        snprintf(end, sizeof end, "$%u ", (unsigned)row->field[0]);
        put_text(w, end);
    } else if (what == IMC_TAKE_NEWS) {
        put_text(w, "N ");
    } else {
        put_text(w, "C ");
    }
    w->last = what;
}

/* A command that has left, and takes this response. */
static void begin(watch *w, const char *reads)
{
    memset(w, 0, offsetof(watch, out));
    w->out[0] = '\0';
    w->used = 0;
    w->last = -1;
    w->values = 0;
    w->stream = w->stop = 0;
    w->command.reads = reads;
    w->command.take = hear;
    w->engine.config = &w->config;
    w->engine.command = &w->command;
    w->engine.user = w;
    w->engine.state = IMC_COMMAND;
    w->engine.exists = 100;
    memcpy(w->engine.reader.tag, "a1", 3);
}

/* One piece, in memory of its size. */
static void feed(watch *w, const char *bytes, size_t count)
{
    char *exact = malloc(count > 0 ? count : 1);
    const char *at = exact;

    assert_non_null(exact);
    memcpy(exact, bytes, count);
    imc_engine_take(&w->engine, &at, exact + count);
    assert_true(w->engine.error != 0 || at == exact + count);
    free(exact);
}

static void say(watch *w, const char *text)
{
    feed(w, text, strlen(text));
}

typedef struct wanted {
    const char *reads, *stream, *stop;
    int error;
} wanted;

static void compare(const watch *w, const wanted *want, const char *input, const char *expected, size_t place)
{
    if (strcmp(w->out, expected) != 0 || w->engine.error != want->error)
        fail_msg("%s\nat %zu: %d '%s', want %d '%s'", input, place, w->engine.error, w->out, want->error, expected);
}

static void check_as(const wanted *want, const char *input, const char *expected)
{
    watch *w = malloc(sizeof *w);
    size_t count = strlen(input), size, at;

    assert_non_null(w);
    for (size = 1; size <= count; size++) {
        begin(w, want->reads);
        w->stream = want->stream;
        w->stop = want->stop;
        for (at = 0; at < count; at += size)
            feed(w, input + at, size < count - at ? size : count - at);
        compare(w, want, input, expected, size);
    }
    for (at = 0; at <= count; at++) {
        begin(w, want->reads);
        w->stream = want->stream;
        w->stop = want->stop;
        feed(w, input, at);
        feed(w, input + at, count - at);
        compare(w, want, input, expected, at);
    }
    free(w);
}

static void check(const char *reads, const char *input, const char *expected)
{
    wanted want = {0, 0, 0, 0};

    want.reads = reads;
    check_as(&want, input, expected);
}

/* What ends the session as something that is not IMAP. */
static void refuse(const char *input, const char *expected)
{
    wanted want = {"X", 0, 0, IMAPCONNECT_E_RESPONSE};

    check_as(&want, input, expected);
}

/* ---- where a value stands ---- */

static void values_are_counted_by_their_depth(void **state)
{
    (void)state;
    check("X", "* X\r\n", "$0 ");
    check("X", "* X a\r\n", "0.0'a' $1 ");
    check("X", "* X a b c\r\n", "0.0'a' 0.1'b' 0.2'c' $3 ");
    check("X", "* X ()\r\n", "$1 ");
    check("X", "* X (a)\r\n", "1.0'a' $1 ");
    check("X", "* X (a b) c\r\n", "1.0'a' 1.1'b' 0.1'c' $2 ");
    check("X", "* X () () (a)\r\n", "1.0'a' $3 ");
    check("X", "* X (a (b c) d)\r\n", "1.0'a' 2.0'b' 2.1'c' 1.2'd' $1 ");
    check("X", "* X ((a) (b))\r\n", "2.0'a' 2.0'b' $1 ");
    check("X", "* X ((a)(b) c)\r\n", "2.0'a' 2.0'b' 1.2'c' $1 ");
    check("X", "* X (((a b) c) d) e\r\n", "3'a' 3'b' 2.1'c' 1.1'd' 0.1'e' $2 ");
    check("X", "* X ((((a)) b) c)\r\n", "4'a' 2.1'b' 1.1'c' $1 ");
    check("X", "* X () NIL nil\r\n", "0.1'NIL' 0.2'nil' $3 ");
    check("X", "* X  a  b \r\n", "0.0'a' 0.1'b' $2 "); /* more spaces than there should be count for nothing */
    check("X", "* X ( a  b ) \r\n", "1.0'a' 1.1'b' $1 ");
}

static void values_of_every_kind(void **state)
{
    (void)state;
    check("X", "* X \"\" \"a b\" {0}\r\n {3}\r\na)b z\r\n", "0.0\"\" 0.1\"a b\" 0.2\"\" 0.3\"a)b\" 0.4'z' $5 ");
    check("X", "* X NIL \"NIL\" {3}\r\nNIL\r\n", "0.0'NIL' 0.1\"NIL\" 0.2\"NIL\" $3 ");
    check("X", "* X (\"\\\"\\\\\" {1}\r\n\")\r\n", "1.0\"\"\\\" 1.1\"\"\" $1 ");
    check("X", "* X (\"a\")(\"b\")\r\n", "1.0\"a\" 1.0\"b\" $2 ");
    check("X", "* X a[b ] c]\r\n", "0.0'a[b' 0.1']' 0.2'c]' $3 "); /* sections are FETCH's alone */
}

/* One after the other, each from the beginning. */
static void every_response_is_counted_anew(void **state)
{
    (void)state;
    check("X", "* X (a) b\r\n* X (c)\r\n* X\r\n", "1.0'a' 0.1'b' $2 1.0'c' $1 $0 ");
}

/* RFC 3501 section 7.4.2: the name of an item of FETCH may hold a section with spaces and parentheses. Only there: a
   value, or a name in a list below, may begin with the same letters. */
static void sections_in_the_names_of_items(void **state)
{
    (void)state;
    check("FETCH", "* 7 FETCH (UID 5 FLAGS (\\Seen x))\r\n", "1.0'UID' 1.1'5' 1.2'FLAGS' 2.0'\\Seen' 2.1'x' $1 N ");
    check("FETCH", "* 7 FETCH (BODY[] {2}\r\nhi UID 5)\r\n", "1.0'BODY[]' 1.1\"hi\" 1.2'UID' 1.3'5' $1 N ");
    check("FETCH", "* 7 FETCH (BODY[HEADER.FIELDS (TO CC)]<0> NIL)\r\n",
          "1.0'BODY[HEADER.FIELDS (TO CC)]<0>' 1.1'NIL' $1 N ");
    check("FETCH", "* 7 FETCH (A [x B y)\r\n", "1.0'A' 1.1'[x' 1.2'B' 1.3'y' $1 N ");
    check("FETCH", "* 7 FETCH (A (b[c d) \"x[y\" z)\r\n", "1.0'A' 2.0'b[c' 2.1'd' 1.2\"x[y\" 1.3'z' $1 N ");
}

/* ---- which responses ---- */

static void only_what_the_command_asked_for(void **state)
{
    (void)state;
    check("X", "* x a\r\n* Y b\r\n* XX c\r\n* X d\r\n", "0.0'a' $1 0.0'd' $1 ");
    check("X", "* OK [UNSEEN 3] x\r\n* CAPABILITY X\r\n* X a\r\n", "C 0.0'a' $1 ");
    check("X", "* 3 EXISTS\r\n* 3 FETCH (FLAGS ())\r\n", "N N ");
    check("FETCH", "* 3 fetch (A b)\r\n* LIST () \"/\" x\r\n", "1.0'A' 1.1'b' $1 N ");
    check(0, "* X a\r\n* 3 FETCH (A b)\r\n", "N "); /* one that reads nothing */
}

/* Of these FETCH alone has a number in front: what has one and should not is not what it is called. */
static void the_number_belongs_to_fetch(void **state)
{
    wanted zero = {"FETCH", 0, 0, IMAPCONNECT_E_RESPONSE};

    (void)state;
    check("X", "* 5 X a\r\n", "");
    check("LIST", "* 5 LIST () \"/\" a\r\n", "");
    check("FETCH", "* 1 FETCH (UID 5)\r\n", "1.0'UID' 1.1'5' $1 N ");
    check_as(&zero, "* 0 FETCH (UID 5)\r\n", "1.0'UID' 1.1'5' $1 "); /* the command may have refused it before */
}

static void the_number_of_a_row(void **state)
{
    watch *w = malloc(sizeof *w);

    (void)state;
    assert_non_null(w);
    begin(w, "FETCH");
    say(w, "* 4294967295 FETCH (A {5}\r\nhello");
    assert_true(w->engine.reader.number == 4294967295u); /* the literal has a number, too */
    say(w, ")\r\n* 8 FETCH (");
    assert_true(w->engine.reader.number == 8);
    free(w);
}

/* Before a login, and in a session without a command, nobody asks. */
static void without_a_command(void **state)
{
    watch *w = malloc(sizeof *w);

    (void)state;
    assert_non_null(w);
    begin(w, "X");
    w->engine.state = IMC_CAPABILITY;
    w->engine.command = 0;
    say(w, "* X (a \"b\" {1}\r\nc)\r\n* 3 EXISTS\r\n");
    assert_string_equal(w->out, "");
    assert_int_equal(w->engine.error, 0);
    free(w);
}

/* ---- the buffer ---- */

/* All but the last byte of a command has left: what comes is no answer to it, to its end, and changes nothing of what
   is still to be sent. */
static void early_lines_are_not_read(void **state)
{
    watch *w = malloc(sizeof *w);
    char before[IMAPCONNECT_WRITE_SIZE];

    (void)state;
    assert_non_null(w);
    begin(w, "X");
    imc_commands_begin(&w->engine, "X");
    imc_commands_sent(&w->engine, w->engine.writer.used - 1u);
    memcpy(before, w->engine.writer.out.bytes, sizeof before);
    say(w, "* X (a b)\r\n* X \"c");
    assert_memory_equal(w->engine.writer.out.bytes, before, sizeof before);
    imc_commands_sent(&w->engine, 1);
    say(w, "d\" e\r\n");
    assert_string_equal(w->out, "");
    assert_int_equal(w->engine.writer.borrowed, 0);
    say(w, "* X f\r\n");
    assert_string_equal(w->out, "0.0'f' $1 ");
    assert_int_equal(w->engine.writer.borrowed, 1);
    free(w);
}

/* 1 when nothing of the row is left of what the buffer held before. */
static int is_clean(const imapconnect_row *row)
{
    return row->count == 0 && row->sum == 0 && row->finished == 0 && row->has == 0 && row->flags == 0 &&
           row->key == 0 && row->streams == 0 && row->open == 0 && row->depth == 0 && row->base == 0 &&
           row->field[0] == 0 && row->field[1] == 0 && row->field[2] == 0 && row->is.selection.uidnext == 0 &&
           row->is.selection.messages == 0;
}

/* What the command left in the buffer is no part of a row; what a reply has counted stays to its end. */
static void the_reply_begins_with_a_clean_row(void **state)
{
    watch *w = malloc(sizeof *w);
    imapconnect_row *row = &w->engine.writer.out.in.row;
    int i;

    (void)state;
    assert_non_null(w);
    begin(w, "X");
    for (i = 0; i < 3; i++) {
        imc_commands_begin(&w->engine,
                           "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"
                           "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX");
        imc_commands_sent(&w->engine, w->engine.writer.used);
        assert_false(is_clean(row));
        say(w, "*");
        assert_true(is_clean(row));
        w->used = 0;
        say(w, " X (a) b\r\n");
        assert_string_equal(w->out, "1.0'a' 0.1'b' $2 ");
        row->count = 17;
        row->finished = 1;
        row->has = row->key = row->streams = 3;
        row->base = 5;
        say(w, "* X c\r\n");
        assert_int_equal(row->count, 17);
        assert_int_equal(row->finished, 1);
        assert_int_equal(row->has | row->key | row->streams | row->base, 0); /* these are of one response */
    }
    free(w);
}

/* Between a command and its literal stands a "+", which borrows nothing for what comes then: the literal goes through
   the same buffer. */
static void the_reply_behind_a_literal_is_clean(void **state)
{
    static const size_t counts[] = {1, 8, 40, 60, 75, 120, 400};
    char text[401];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(counts); i++) {
        watch *w = malloc(sizeof *w);
        imapconnect_writer *writer = &w->engine.writer;

        assert_non_null(w);
        begin(w, "X");
        memset(text, '\xe4', counts[i]);
        text[counts[i]] = '\0';
        writer->text[0] = text;
        imc_commands_begin(&w->engine, "X %s");
        imc_commands_sent(&w->engine, writer->used);
        say(w, "+ go\r\n");
        while (!imc_commands_are_sent(writer))
            imc_commands_sent(&w->engine, (size_t)(writer->used - writer->sent));
        w->used = 0;
        say(w, "*");
        if (!is_clean(&writer->out.in.row)) {
            free(w);
            fail_msg("behind a literal of %zu bytes the row is not clean", counts[i]);
        }
        say(w, " X (a) b\r\n");
        assert_string_equal(w->out, "1.0'a' 0.1'b' $2 ");
        assert_int_equal(w->engine.error, 0);
        free(w);
    }
}

/* ---- long values, streams ---- */

/* A value of this length, as an atom, in quotes and as a literal, and a short one behind it; in pieces of `size`. */
static void check_long(size_t count, int kind, size_t size)
{
    static const char *const heads[] = {"* X ", "* X \"", "* X {%zu}\r\n"};
    static const char *const tails[] = {" z\r\n", "\" z\r\n", " z\r\n"};
    size_t kept = count < ROOM ? count : ROOM, used, at, i;
    char *input = malloc(count + 60), *expected = malloc(count + 60);
    watch *w = malloc(sizeof *w);

    assert_true(input != 0 && expected != 0 && w != 0);
    used = (size_t)(kind == 2 ? sprintf(input, "* X {%zu}\r\n", count) : sprintf(input, "%s", heads[kind]));
    for (i = 0; i < count; i++)
        input[used + i] = (char)('a' + i % 26);
    strcpy(input + used + count, tails[kind]);
    sprintf(expected, "0.0%s%.*s%s%s 0.1'z' $2 ", kind ? "\"" : "'", (int)kept, input + used, kind ? "\"" : "'",
            count > ROOM ? "~" : "");
    used = strlen(input);
    begin(w, "X");
    for (at = 0; at < used; at += size)
        feed(w, input + at, size < used - at ? size : used - at);
    if (strcmp(w->out, expected) != 0 || w->engine.error != 0)
        fail_msg("%zu bytes of kind %d in pieces of %zu: '%s'", count, kind, size, w->out);
    free(w);
    free(input);
    free(expected);
}

/* What does not fit is known to be cut; the next value is not. */
static void long_values_are_cut(void **state)
{
    size_t count, size;
    int kind;

    (void)state;
    for (kind = 0; kind < 3; kind++)
        for (count = ROOM - 3; count < ROOM + 4; count++)
            for (size = 1; size < 600; size = size * 2 + 1)
                check_long(count, kind, size);
    check_long(5000, 0, 100);
    check_long(5000, 1, 100);
    check_long(5000, 2, 100);
}

/* Behind something that is kept, a value has the rest of the room. */
static void a_value_behind_another(void **state)
{
    watch *w = malloc(sizeof *w);
    imapconnect_row *row = &w->engine.writer.out.in.row;
    size_t base, i;

    (void)state;
    assert_non_null(w);
    for (base = 1; base <= ROOM; base += base < ROOM - 20 ? 19 : 1) {
        begin(w, "X");
        say(w, "* X a ");
        memset(w->engine.writer.out.in.text, 'k', ROOM);
        row->base = (uint16_t)base;
        for (i = 0; i < ROOM - base; i++)
            say(w, "v");
        assert_int_equal(row->cut, 0);
        assert_true(i == 0 || row->length == ROOM - base);
        say(w, "v");
        assert_int_equal(row->cut, 1);
        assert_int_equal(row->length, ROOM - base);
        for (i = 0; i < ROOM; i++)
            assert_int_equal(w->engine.writer.out.in.text[i], i < base ? 'k' : 'v');
        say(w, "\r\n");
        assert_int_equal(row->base, 0);
    }
    free(w);
}

/* A string that streams goes to the command as it arrives, of any length; an atom does not. */
static void strings_that_stream(void **state)
{
    wanted want = {"FETCH", "BODY[]", 0, 0};

    (void)state;
    check_as(&want, "* 7 FETCH (BODY[] {5}\r\nhello UID 5)\r\n", "1.0'BODY[]' <hello1.1> 1.2'UID' 1.3'5' $1 N ");
    check_as(&want, "* 7 FETCH (BODY[] {0}\r\n UID 5)\r\n", "1.0'BODY[]' 1.1> 1.2'UID' 1.3'5' $1 N ");
    check_as(&want, "* 7 FETCH (BODY[] \"\" UID 5)\r\n", "1.0'BODY[]' 1.1> 1.2'UID' 1.3'5' $1 N ");
    check_as(&want, "* 7 FETCH (BODY[] \"a\\\"\\\\b\")\r\n", "1.0'BODY[]' <a\"\\b1.1> $1 N ");
    check_as(&want, "* 7 FETCH (BODY[] NIL UID 5)\r\n", "1.0'BODY[]' 1.1'NIL' 1.2'UID' 1.3'5' $1 N ");
    check_as(&want, "* 7 FETCH (BODY[] {9}\r\n* 3\r\n)\"(x)\r\n", "1.0'BODY[]' <* 3\r\n)\"(x1.1> $1 N ");
}

static void a_stream_of_a_megabyte(void **state)
{
    static char block[1000];
    watch *w = malloc(sizeof *w);
    int i;

    (void)state;
    assert_non_null(w);
    begin(w, "FETCH");
    w->stream = "BODY[]";
    say(w, "* 7 FETCH (BODY[] {1000000}\r\n");
    memset(block, 'x', sizeof block);
    for (i = 0; i < 1000; i++) {
        w->used = 0;
        feed(w, block, sizeof block);
        assert_int_equal(w->used, i == 0 ? sizeof block + 1 : sizeof block); /* all of it, at once */
    }
    w->used = 0;
    say(w, ")\r\n");
    assert_string_equal(w->out, "1.1> $1 N ");
    free(w);
}

/* ---- limits, errors ---- */

/* Of items in pairs it must be known which is the name, however many there are: the counter has eight bits. */
static void the_parity_of_many_values(void **state)
{
    watch *w = malloc(sizeof *w);
    const imapconnect_row *row = &w->engine.writer.out.in.row;
    unsigned i, depth;

    (void)state;
    assert_non_null(w);
    for (depth = 0; depth < 3; depth++) {
        begin(w, "X");
        say(w, depth == 0 ? "* X" : depth == 1 ? "* X (" : "* X ((");
        for (i = 0; i < 1500; i++) {
            w->used = 0;
            say(w, depth == 0 ? " a" : "a ");
            assert_int_equal(row->field[depth] % 2, (i + (depth != 0)) % 2);
            assert_true(i < 3 || row->field[depth] >= 3); /* it is never taken for one of the first again */
        }
        say(w, depth == 0 ? "\r\n" : depth == 1 ? ")\r\n" : "))\r\n");
        assert_int_equal(w->values, 1500);
        assert_int_equal(w->engine.error, 0);
    }
    for (depth = 0; depth < 2; depth++) { /* lists are values, too */
        begin(w, "X");
        say(w, depth == 0 ? "* X " : "* X (");
        for (i = 0; i < 1500; i++) {
            say(w, "()");
            assert_int_equal(row->field[depth] % 2, (i + 1) % 2);
        }
        say(w, depth == 0 ? "\r\n" : ")\r\n");
        assert_int_equal(w->engine.error, 0);
    }
    free(w);
}

static void nest(unsigned opened, unsigned closed, int error)
{
    watch *w = malloc(sizeof *w);
    unsigned i;

    assert_non_null(w);
    begin(w, "X");
    say(w, "* X ");
    for (i = 0; i < opened && w->engine.error == 0; i++)
        say(w, "(");
    for (i = 0; i < closed && w->engine.error == 0; i++)
        say(w, ")");
    if (w->engine.error == 0)
        say(w, "\r\n* X a\r\n");
    if (w->engine.error != error)
        fail_msg("%u opened, %u closed: %d", opened, closed, w->engine.error);
    assert_string_equal(w->out, error ? "" : "$1 0.0'a' $1 ");
    free(w);
}

static void parentheses_without_end(void **state)
{
    (void)state;
    nest(1, 1, 0);
    nest(200, 200, 0);
    nest(254, 254, 0);
    nest(255, 255, 0);
    nest(256, 256, IMAPCONNECT_E_RESPONSE);
    nest(257, 257, IMAPCONNECT_E_RESPONSE);
    nest(512, 512, IMAPCONNECT_E_RESPONSE);
    nest(256, 0, IMAPCONNECT_E_RESPONSE);
    nest(2, 1, IMAPCONNECT_E_RESPONSE);
    nest(255, 254, IMAPCONNECT_E_RESPONSE);
    nest(1, 2, IMAPCONNECT_E_RESPONSE);
    nest(0, 1, IMAPCONNECT_E_RESPONSE);
}

/* What breaks the grammar is -1260, and there is no row. */
static void malformed_rows(void **state)
{
    (void)state;
    refuse("* X (a\r\n", "1.0'a' ");
    refuse("* X a)\r\n", "0.0'a' ");
    refuse("* X )\r\n", "");
    refuse("* X (a (b)\r\n", "1.0'a' 2.0'b' ");
    refuse("* X (a))\r\n", "1.0'a' ");
    refuse("* X a (b c\r\n* X d)\r\n", "0.0'a' 1.0'b' 1.1'c' ");
    refuse("* X \"a\r\n", "");
    refuse("* X a\"b\"\r\n", "");
    refuse("* X {5+}\r\nhello\r\n", "");
    refuse("* X a\nb\r\n", "");
}

/* Once the command has failed it hears no more. */
static void after_an_error_nothing_is_heard(void **state)
{
    static const wanted want = {"X", 0, "stop", IMAPCONNECT_E_CANCELLED};

    (void)state;
    check_as(&want, "* X a stop b\r\n* X c\r\n", "0.0'a' 0.1'stop' ");
    check_as(&want, "* X (stop\r\n", "1.0'stop' ");
    check_as(&want, "* X stop\r\n", "0.0'stop' ");
    check_as(&want, "* X stop {3}\r\nabc \"x\" (\r\n", "0.0'stop' ");
}

/* ---- flags and numbers ---- */

/* RFC 3501 section 2.3.2; the order is that of imapconnect_flags. */
static void flags_by_name(void **state)
{
    static const char *const names[] = {"\\Answered", "\\Deleted", "\\Draft", "\\Flagged",
                                        "\\Recent",   "\\Seen",    "\\*"};
    static const char *const others[] = {"",           "\\",     "Seen",      "\\See", "\\Seenx", "\\\\Seen",
                                         "$Forwarded", "\\Junk", "\\Recent ", "*",     "\\**",    "Answered"};
    imapconnect_flags flags;
    size_t i, k;

    (void)state;
    assert_int_equal(sizeof flags, COUNT(names));
    for (i = 0; i < COUNT(names); i++) {
        char text[16];
        size_t count = strlen(names[i]);
        uint8_t bytes[sizeof flags];

        assert_int_equal(imc_rows_flag(names[i], count), 1u << i);
        for (k = 0; k <= count; k++) /* in any case, RFC 3501 section 9 */
            text[k] =
                (char)(names[i][k] >= 'A' && names[i][k] <= 'Z' ? names[i][k] + 32 : imc_bytes_upper(names[i][k]));
        assert_int_equal(imc_rows_flag(text, count), 1u << i);
        memset(&flags, 0xa5, sizeof flags);
        imc_rows_set_flags(&flags, 1u << i);
        memcpy(bytes, &flags, sizeof flags);
        for (k = 0; k < sizeof flags; k++)
            assert_int_equal(bytes[k], k == i);
    }
    for (i = 0; i < COUNT(others); i++)
        assert_int_equal(imc_rows_flag(others[i], strlen(others[i])), 0);
    imc_rows_set_flags(&flags, 0x6f);
    assert_true(flags.answered && flags.deleted && flags.draft && flags.flagged && flags.seen && flags.keywords);
    assert_int_equal(flags.recent, 0);
}

static void take_number(imapconnect_engine *engine, int what, const imc_slice *piece)
{
    (void)piece;
    if (what == IMC_TAKE_VALUE)
        engine->exists = imc_rows_number(engine);
}

/* A number that is none ends the session. */
static void values_that_must_be_numbers(void **state)
{
    static const struct {
        const char *text;
        uint32_t number;
        int error;
    } cases[] = {{"0", 0, 0},
                 {"4294967295", 4294967295u, 0},
                 {"{2}\r\n42", 0, IMAPCONNECT_E_RESPONSE}, /* a number is an atom */
                 {"\"42\"", 0, IMAPCONNECT_E_RESPONSE},
                 {"4294967296", 0, IMAPCONNECT_E_RESPONSE},
                 {"00000000001", 0, IMAPCONNECT_E_RESPONSE},
                 {"NIL", 0, IMAPCONNECT_E_RESPONSE},
                 {"\"\"", 0, IMAPCONNECT_E_RESPONSE},
                 {"1x", 0, IMAPCONNECT_E_RESPONSE},
                 {"-1", 0, IMAPCONNECT_E_RESPONSE},
                 {"1.5", 0, IMAPCONNECT_E_RESPONSE}};
    char line[80];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        watch *w = malloc(sizeof *w);

        assert_non_null(w);
        begin(w, "X");
        w->command.take = take_number;
        sprintf(line, "* X %s\r\n", cases[i].text);
        say(w, line);
        assert_int_equal(w->engine.error, cases[i].error);
        assert_true(w->engine.exists == cases[i].number);
        free(w);
    }
}

/* ---- names of mailboxes ---- */

/* A row of LIST, kept. */
typedef struct kept {
    imapconnect_mailbox row;
    char name[600];
    int rows;
} kept;

static int keep(void *user, const imapconnect_mailbox *row)
{
    kept *k = user;

    k->rows++;
    k->row = *row;
    assert_true(strlen(row->name) < sizeof k->name);
    strcpy(k->name, row->name);
    return 0;
}

/* The name on the wire, in quotes or as a literal, in pieces of `size`. Returns the error. */
static int read_name(kept *k, const char *wire, int literal, size_t size, int utf8)
{
    watch *w = malloc(sizeof *w);
    char line[1400];
    size_t used, at, i;
    int error;

    assert_non_null(w);
    memset(k, 0, sizeof *k);
    begin(w, 0);
    w->engine.command = &imc_list_rows;
    w->engine.taker.mailbox = keep;
    w->engine.user = k;
    w->engine.utf8 = (uint8_t)utf8;
    used = (size_t)sprintf(line, literal ? "* LIST (\\Noselect) \"/\" {%zu}\r\n" : "* LIST (\\Noselect) \"/\" \"",
                           strlen(wire));
    for (i = 0; wire[i] != '\0'; i++) {
        if (!literal && (wire[i] == '"' || wire[i] == '\\'))
            line[used++] = '\\';
        line[used++] = wire[i];
    }
    used += (size_t)sprintf(line + used, literal ? "\r\n" : "\"\r\n");
    for (at = 0; at < used && w->engine.error == 0; at += size)
        feed(w, line + at, size < used - at ? size : used - at);
    error = w->engine.error;
    assert_int_equal(k->rows, error == 0);
    free(w);
    return error;
}

static void expect_name_in(const char *wire, const char *name, int raw, int utf8)
{
    size_t size;
    int literal;

    for (literal = 0; literal < 2; literal++) {
        for (size = 1; size < 1000; size = size * 3 + 1) {
            kept k;

            assert_int_equal(read_name(&k, wire, literal, size, utf8), 0);
            if (strcmp(k.name, name) != 0 || k.row.raw != raw)
                fail_msg("name of %zu bytes, utf8 %d, literal %d: another name, or raw is %d", strlen(wire), utf8,
                         literal, k.row.raw);
            assert_int_equal(k.row.separator, '/');
            assert_int_equal(k.row.no_select, 1);
            assert_int_equal(k.row.has_children, -1);
        }
    }
}

/* Decoded, or raw behind 0xFF. RFC 3501 section 5.1.3. */
static void names_are_decoded_or_raw(void **state)
{
    (void)state;
    expect_name_in("", "", 0, 0);
    expect_name_in("INBOX", "INBOX", 0, 0);
    expect_name_in("a\"b\\c", "a\"b\\c", 0, 0);
    expect_name_in("Entw&APw-rfe", "Entw\xc3\xbcrfe", 0, 0);
    expect_name_in("Tom &- Jerry", "Tom & Jerry", 0, 0);
    expect_name_in("&2D3eAA-", "\xf0\x9f\x98\x80", 0, 0);
    expect_name_in("&Bad", "\xff&Bad", 1, 0);
    expect_name_in("Entw&APw-&APw-rfe",
                   "\xff"
                   "Entw&APw-&APw-rfe",
                   1, 0);
    expect_name_in("Entw\xfcrfe",
                   "\xff"
                   "Entw\xfcrfe",
                   1, 0);
    expect_name_in("Entw\xc3\xbcrfe",
                   "\xff"
                   "Entw\xc3\xbcrfe",
                   1, 0); /* RFC 6855 says that only after ENABLE */
    expect_name_in("\xff", "\xff\xff", 1, 0);
    expect_name_in("&", "\xff&", 1, 0);
}

/* With UTF8=ACCEPT they are UTF-8 as they come. RFC 6855 section 3. */
static void names_in_utf8(void **state)
{
    (void)state;
    expect_name_in("Entw\xc3\xbcrfe", "Entw\xc3\xbcrfe", 0, 1);
    expect_name_in("Entw&APw-rfe", "Entw&APw-rfe", 0, 1);
    expect_name_in("Tom & Jerry", "Tom & Jerry", 0, 1);
    expect_name_in("", "", 0, 1);
    expect_name_in("Entw\xfcrfe",
                   "\xff"
                   "Entw\xfcrfe",
                   1, 1);
    expect_name_in("\xff", "\xff\xff", 1, 1);
}

/* As long as a name can be: plain, decoded with most growth, raw, and one byte more. The manual says "about 400". */
static void names_at_the_size_of_the_buffer(void **state)
{
    size_t most = 0, count, i;
    kept k;

    (void)state;
    for (count = 300; count < 600; count++) { /* plain ones say where it is */
        char wire[700];
        int error;

        memset(wire, 'x', count);
        wire[count] = '\0';
        error = read_name(&k, wire, 1, 1000, 0);
        if (error == 0) {
            assert_true(most == 0 || most == count - 1); /* no gap */
            assert_string_equal(k.name, wire);
            most = count;
        } else {
            assert_int_equal(error, IMAPCONNECT_E_FIELD_LENGTH);
        }
    }
    assert_in_range(most, 380, 420);
    for (count = most - 12; count < most + 60; count++) {
        char wire[700], name[700];
        size_t units, used = 0;

        memset(wire, 'x', count); /* raw */
        wire[0] = '&';
        wire[count] = '\0';
        name[0] = '\xff';
        strcpy(name + 1, wire);
        if (count <= most)
            expect_name_in(wire, name, 1, 0);
        else
            assert_int_equal(read_name(&k, wire, 0, 7, 0), IMAPCONNECT_E_FIELD_LENGTH);

        /* U+65E5 is 65E5: eight base64 digits for three of them, "ZeVl5WXl"; the rest of the name stands in front. */
        units = (count - 2) / 8 * 3;
        for (i = 0; i < (count - 2) % 8; i++)
            wire[used++] = 'x';
        memcpy(name, wire, used);
        for (i = 0; i < units; i++)
            memcpy(name + used + 3 * i, "\xe6\x97\xa5", 3);
        name[used + 3 * units] = '\0';
        wire[used++] = '&';
        for (i = 0; i < units / 3; i++, used += 8)
            memcpy(wire + used, "ZeVl5WXl", 8);
        wire[used++] = '-';
        wire[used] = '\0';
        assert_int_equal(used, count);
        if (count <= most)
            expect_name_in(wire, name, 0, 0);
        else
            assert_int_equal(read_name(&k, wire, 1, 100, 0), IMAPCONNECT_E_FIELD_LENGTH);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(values_are_counted_by_their_depth),
    cmocka_unit_test(values_of_every_kind),
    cmocka_unit_test(every_response_is_counted_anew),
    cmocka_unit_test(sections_in_the_names_of_items),
    cmocka_unit_test(only_what_the_command_asked_for),
    cmocka_unit_test(the_number_belongs_to_fetch),
    cmocka_unit_test(the_number_of_a_row),
    cmocka_unit_test(without_a_command),
    cmocka_unit_test(early_lines_are_not_read),
    cmocka_unit_test(the_reply_begins_with_a_clean_row),
    cmocka_unit_test(the_reply_behind_a_literal_is_clean),
    cmocka_unit_test(long_values_are_cut),
    cmocka_unit_test(a_value_behind_another),
    cmocka_unit_test(strings_that_stream),
    cmocka_unit_test(a_stream_of_a_megabyte),
    cmocka_unit_test(the_parity_of_many_values),
    cmocka_unit_test(parentheses_without_end),
    cmocka_unit_test(malformed_rows),
    cmocka_unit_test(after_an_error_nothing_is_heard),
    cmocka_unit_test(flags_by_name),
    cmocka_unit_test(values_that_must_be_numbers),
    cmocka_unit_test(names_are_decoded_or_raw),
    cmocka_unit_test(names_in_utf8),
    cmocka_unit_test(names_at_the_size_of_the_buffer),
};
TEST_MAIN(tests)
