/* Room >>lexer: bytes into tokens. Each text is cut in every way, and each piece stands alone in memory of its own
   size: the tokens must always be the same, and no byte behind a piece may be looked at.

   Tokens are written as <word>, _ for a space, 'text', {n= for the begin of a literal, then its bytes, } for its
   end, $ for the end of a line and ! for malformed, which ends the test. Data is not handed over as a token. */

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

#include "test.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct trace {
    imapconnect_lexer lexer;
    int mode;     /* how a line is read behind its second word */
    int sections; /* of BODY[: as the walker says it */
    int words;    /* of this line so far */
    int last;     /* the token before, so that pieces can be joined */
    int over;
    char out[4096];
    size_t used;
} trace;

static void put(trace *t, const void *bytes, size_t count)
{
    assert_true(t->used + count < sizeof t->out);
    memcpy(t->out + t->used, bytes, count);
    t->used += count;
    t->out[t->used] = '\0';
}

static void put_text(trace *t, const char *text)
{
    put(t, text, strlen(text));
}

static void put_word(trace *t)
{
    put_text(t, "<");
    put(t, t->lexer.word, t->lexer.length);
    put_text(t, ">");
    t->words++;
    if (t->words == 2)
        t->lexer.mode = (uint8_t)t->mode;
}

static void put_token(trace *t, int token, const imc_slice *piece)
{
    char number[16];

    if (t->last == IMC_PIECE && token != IMC_PIECE)
        put_text(t, "'");
    switch (token) {
    case IMC_WORD:
        put_word(t);
        break;
    case IMC_SPACE:
        put_text(t, "_");
        break;
    case IMC_PIECE:
        assert_true(piece->count > 0);
        put_text(t, t->last == IMC_PIECE ? "" : "'");
        put(t, piece->bytes, piece->count);
        if (t->sections && piece->bytes[piece->count - 1] == '[' && t->lexer.quoted == IMC_IN_ATOM)
            t->lexer.quoted = IMC_IN_SECTION;
        break;
    case IMC_STRING:
        put_text(t, "\"");
        break;
    case IMC_OPEN:
        put_text(t, "(");
        break;
    case IMC_CLOSE:
        put_text(t, ")");
        break;
    case IMC_LITERAL_BEGIN:
        snprintf(number, sizeof number, "{%lu=", (unsigned long)t->lexer.number);
        put_text(t, number);
        break;
    case IMC_LITERAL_PIECE:
        assert_true(piece->count > 0);
        put(t, piece->bytes, piece->count);
        break;
    case IMC_LITERAL_END:
        put_text(t, "}");
        break;
    case IMC_LINE_END:
        put_text(t, "$");
        t->words = 0;
        break;
    default:
        assert_int_equal(token, IMC_MALFORMED);
        put_text(t, "!");
        t->over = 1;
    }
    t->last = token;
}

/* One piece of the input, in memory of exactly its size. */
static void feed(trace *t, const char *bytes, size_t count)
{
    char *exact = malloc(count > 0 ? count : 1);
    const char *at = exact;

    assert_non_null(exact);
    memcpy(exact, bytes, count);
    while (!t->over) {
        imc_slice piece = {0, 0};
        const char *before = at;
        int token = imc_lexer_next(&t->lexer, &at, exact + count, &piece);

        assert_true(at >= before && at <= exact + count);
        if (token == IMC_MORE)
            break;
        put_token(t, token, &piece);
    }
    assert_true(t->over || at == exact + count); /* all was taken */
    free(exact);
}

#define SECTIONS 64 /* with the mode */

static void begin(trace *t, int mode)
{
    memset(t, 0, offsetof(trace, out));
    t->out[0] = '\0';
    t->used = 0;
    t->mode = mode & ~SECTIONS;
    t->sections = mode & SECTIONS;
}

static void compare(const trace *t, const char *input, const char *expected, const char *how, size_t place)
{
    if (strcmp(t->out, expected) != 0)
        fail_msg("%s\n%s %zu: got %s, want %s", input, how, place, t->out, expected);
}

/* The whole text at once, in pieces of every size, and cut once at every place. */
static void check_bytes(int mode, const char *input, size_t count, const char *expected)
{
    static trace t;
    size_t size, at;

    for (size = 1; size <= count; size++) {
        begin(&t, mode);
        for (at = 0; at < count; at += size)
            feed(&t, input + at, size < count - at ? size : count - at);
        compare(&t, input, expected, "pieces of", size);
    }
    for (at = 0; at <= count; at++) {
        begin(&t, mode);
        feed(&t, input, at);
        feed(&t, input + at, count - at);
        compare(&t, input, expected, "cut at", at);
    }
}

static void check(int mode, const char *input, const char *expected)
{
    check_bytes(mode, input, strlen(input), expected);
}

static void words_and_spaces(void **state)
{
    (void)state;
    check(IMC_WORDS, "* CAPABILITY IMAP4rev1 AUTH=CRAM-MD5\r\n", "<*>_<CAPABILITY>_<IMAP4rev1>_<AUTH=CRAM-MD5>$");
    check(IMC_WORDS, "a1 OK\r\n", "<a1>_<OK>$");
    check(IMC_WORDS, "+\r\n", "<+>$");
    check(IMC_WORDS, "+ \r\n", "<+>_$");
    check(IMC_WORDS, "\r\n", "$");
    check(IMC_WORDS, " x\r\n", "_<x>$");
    check(IMC_WORDS, "a  b\r\n", "<a>__<b>$");
    check(IMC_WORDS, "a b\r\nc d\r\n", "<a>_<b>$<c>_<d>$");
    check(IMC_WORDS, "a \t()}\x7f\xff%*] b\r\n", "<a>_<\t()}\x7f\xff%*]>_<b>$");
    /* A quoted string or a literal is no word: what follows it could not be told apart from a line. */
    check(IMC_WORDS, "a {5}\r\nhello\r\n", "<a>_!");
    check(IMC_WORDS, "a b{5}\r\nhello\r\n", "<a>_!");
    check(IMC_WORDS, "a \"b\" c\r\n", "<a>_!");
    check(IMC_WORDS, "a b\"c\r\n", "<a>_!");
}

static void text_is_never_looked_into(void **state)
{
    (void)state;
    check(IMC_TEXT, "* OK hello\r\n", "<*>_<OK>' hello'$");
    check(IMC_TEXT, "* OK\r\n", "<*>_<OK>$");
    check(IMC_TEXT, "* OK \r\n", "<*>_<OK>' '$");
    check(IMC_TEXT, "* OK see {5}\r\na1 OK\r\n", "<*>_<OK>' see {5}'$<a1>_<OK>$"); /* SECURITY.md 33 */
    check(IMC_TEXT, "* NO ~{5}\r\n", "<*>_<NO>' ~{5}'$");
    check(IMC_TEXT, "* OK a \"b\r\n", "<*>_<OK>' a \"b'$");
    check(IMC_TEXT, "* OK {5+}\r\n", "<*>_<OK>' {5+}'$");
    check(IMC_TEXT, "* OK \x01\x7f\x80\xff\t\r\n", "<*>_<OK>' \x01\x7f\x80\xff\t'$");
}

static void data_lines(void **state)
{
    (void)state;
    check(IMC_DATA, "* 3 EXISTS\r\n", "<*>_<3>$");
    check(IMC_DATA, "* LIST (\\HasNoChildren) \"/\" INBOX\r\n", "<*>_<LIST>$");
    check(IMC_DATA, "* SEARCH\r\n", "<*>_<SEARCH>$");
    check(IMC_DATA, "* SEARCH \r\n* 1 EXISTS\r\n", "<*>_<SEARCH>$<*>_<1>$");
    check(IMC_DATA, "* X \x80\xff\x01\r\n", "<*>_<X>$");
}

static void literals(void **state)
{
    (void)state;
    check(IMC_DATA, "* L {5}\r\nhello\r\n", "<*>_<L>{5=hello}$");
    check(IMC_DATA, "* L ({5}\r\nhello)\r\n", "<*>_<L>{5=hello}$");
    check(IMC_DATA, "* L {5}\r\nhello {3}\r\nabc\r\n", "<*>_<L>{5=hello}{3=abc}$");
    check(IMC_DATA, "* L {5}\r\nhello{3}\r\nabc {1}\r\nz\r\n", "<*>_<L>{5=hello}{3=abc}{1=z}$");
    check(IMC_DATA, "* L {0}\r\n\r\n", "<*>_<L>{0=}$");
    check(IMC_DATA, "* L {0}\r\n {2}\r\n\r\n\r\n", "<*>_<L>{0=}{2=\r\n}$");
    check(IMC_DATA, "* L ~{5}\r\nhello\r\n", "<*>_<L>{5=hello}$"); /* RFC 3516 */
    check(IMC_DATA, "* L BODY[]{5}\r\nhello\r\n", "<*>_<L>{5=hello}$");
    check(IMC_DATA, "* L {8}\r\n\"{9}\r\n()\r\n", "<*>_<L>{8=\"{9}\r\n()}$");
    check(IMC_DATA, "* L {6}\r\na1 OK\n\r\n", "<*>_<L>{6=a1 OK\n}$"); /* looks like a line, and is none */
    check(IMC_DATA, "* L {{5}\r\nhello\r\n", "<*>_<L>{5=hello}$");
    check(IMC_DATA, "* L {1}{5}\r\nhello\r\n", "<*>_<L>{5=hello}$");
    check_bytes(IMC_DATA, "* L {3}\r\n\r\n\xff\r\n", 14, "<*>_<L>{3=\r\n\xff}$");
}

/* A NUL in a literal is a byte like any other (literal8, RFC 3516). */
static void take_any_byte(int mode, const char *input, const char *head, const char *tail)
{
    size_t before = strlen(input), size, at, i, count = before + 256 + 4;
    trace *t = malloc(sizeof *t);
    char text[300];

    assert_non_null(t);
    memcpy(text, input, before);
    for (i = 0; i < 256; i++)
        text[before + i] = (char)i;
    memcpy(text + before + 256, ")\r\nx", 4);
    for (size = 1; size <= count; size++) {
        begin(t, mode);
        for (at = 0; at < count; at += size)
            feed(t, text + at, size < count - at ? size : count - at);
        assert_int_equal(t->used, strlen(head) + 256 + strlen(tail));
        assert_memory_equal(t->out, head, strlen(head));
        assert_memory_equal(t->out + strlen(head), text + before, 256);
        assert_string_equal(t->out + strlen(head) + 256, tail);
    }
    free(t);
}

static void a_literal_takes_any_byte(void **state)
{
    (void)state;
    take_any_byte(IMC_DATA, "* L ~{256}\r\n", "<*>_<L>{256=", "}$");
    take_any_byte(IMC_VALUES, "* L ({256}\r\n", "<*>_<L>_({256=", "})$");
}

/* What looks like a literal's size, and is not followed by CRLF, or is no number. */
static void braces_that_are_no_literal(void **state)
{
    (void)state;
    check(IMC_DATA, "* L {}\r\n", "<*>_<L>$");
    check(IMC_DATA, "* L {+}\r\n", "<*>_<L>$");
    check(IMC_DATA, "* L {5}x\r\n", "<*>_<L>$");
    check(IMC_DATA, "* L {5} \r\n", "<*>_<L>$");
    check(IMC_DATA, "* L {5\r\n", "<*>_<L>$");
    check(IMC_DATA, "* L 5}\r\n", "<*>_<L>$");
    check(IMC_DATA, "* L {a5}\r\n", "<*>_<L>$");
    check(IMC_DATA, "* L {5a}\r\n", "<*>_<L>$");
    check(IMC_DATA, "* L {-5}\r\n", "<*>_<L>$");
    check(IMC_DATA, "* L { 5}\r\n", "<*>_<L>$");
    check(IMC_DATA, "* L {5 }\r\n", "<*>_<L>$");
    check(IMC_DATA, "* L {5}}\r\n", "<*>_<L>$");
    check(IMC_DATA, "* L {5}+\r\n", "<*>_<L>$");
    check(IMC_DATA, "* L {5+}x\r\n", "<*>_<L>$");
    check(IMC_DATA, "* L {5++}\r\n", "<*>_<L>$");
    check(IMC_DATA, "* L {5+\r\n", "<*>_<L>$");
    check(IMC_DATA, "* L {5+x\r\n", "<*>_<L>$");
    check(IMC_DATA, "* L {5}5}\r\n", "<*>_<L>$");
    check(IMC_DATA, "* L {5+5}\r\n", "<*>_<L>$");
    check(IMC_DATA, "* L {99999999999}x\r\n", "<*>_<L>$");
}

/* A number is 1 to 10 digits and below 2^32, SECURITY.md section 3, 19 and 33. */
static void sizes_at_the_limit(void **state)
{
    (void)state;
    check(IMC_DATA, "* L {4294967295}\r\nabc", "<*>_<L>{4294967295=abc");
    check(IMC_DATA, "* L {4294967290}\r\n", "<*>_<L>{4294967290=");
    check(IMC_DATA, "* L {4294967296}\r\n", "<*>_<L>!");
    check(IMC_DATA, "* L {4294967300}\r\n", "<*>_<L>!");
    check(IMC_DATA, "* L {9999999999}\r\n", "<*>_<L>!");
    check(IMC_DATA, "* L {0000000005}\r\nhello\r\n", "<*>_<L>{5=hello}$");
    check(IMC_DATA, "* L {0000000000}\r\n\r\n", "<*>_<L>{0=}$");
    check(IMC_DATA, "* L {00000000005}\r\n", "<*>_<L>!");
    check(IMC_DATA, "* L {000000000005}\r\n", "<*>_<L>!");
    check(IMC_DATA, "* L {10000000000}\r\n", "<*>_<L>!");
    check(IMC_DATA, "* L {18446744073709551621}\r\n", "<*>_<L>!");                         /* 5 in 64 bits */
    check(IMC_DATA, "* L {42949672960000000000000000000000000000000005}\r\n", "<*>_<L>!"); /* 5 in 32 */
    check(IMC_DATA, "* L {99999999999} {5}\r\nhello\r\n", "<*>_<L>{5=hello}$");            /* each size for itself */
}

/* RFC 7888 section 3: the plus is for the client alone. */
static void a_server_sends_no_plus(void **state)
{
    (void)state;
    check(IMC_DATA, "* L {5+}\r\nhello\r\n", "<*>_<L>!");
    check(IMC_DATA, "* L ~{5+}\r\n", "<*>_<L>!");
    check(IMC_DATA, "* L {0+}\r\n", "<*>_<L>!");
}

static void quoted_strings(void **state)
{
    (void)state;
    check(IMC_DATA, "* L \"{5}\"\r\n", "<*>_<L>$");
    check(IMC_DATA, "* L \"a\" {5}\r\nhello\r\n", "<*>_<L>{5=hello}$");
    check(IMC_DATA, "* L \"\" {5}\r\nhello\r\n", "<*>_<L>{5=hello}$");
    check(IMC_DATA, "* L \"a\\\"{5}\" {1}\r\nx\r\n", "<*>_<L>{1=x}$");
    check(IMC_DATA, "* L \"a\\\\\" {1}\r\nx\r\n", "<*>_<L>{1=x}$");
    check(IMC_DATA, "* L \"\\\\\\\"{5}\" x\r\n", "<*>_<L>$");
    check(IMC_DATA, "* L {5\"}\"\r\n", "<*>_<L>$"); /* a size that runs into a quote */
    check(IMC_DATA, "* L \"{\"5}\r\n", "<*>_<L>$");
    check(IMC_DATA, "* L {5}\"a\"\r\n", "<*>_<L>$"); /* the line does not end in the size */
    check(IMC_DATA, "* L \"{5\"}\r\n", "<*>_<L>$");
    /* A quoted string does not end in the middle of a line's end: RFC 3501 section 9, quoted. */
    check(IMC_DATA, "* L \"a {5}\r\n", "<*>_<L>!");
    check(IMC_DATA, "* L \"a\\\r\n", "<*>_<L>!");
    check(IMC_DATA, "* L \"\r\n", "<*>_<L>!");
    check(IMC_DATA, "* L \"a\\\"\r\n", "<*>_<L>!");
    check(IMC_DATA, "* L \\\"{5}\r\n", "<*>_<L>!"); /* outside, a backslash escapes nothing */
}

/* CRLF alone ends a line, RFC 3501 section 2.2. In a mode of its own each. */
static void bare_cr_bare_lf_and_nul(void **state)
{
    (void)state;
    check(IMC_WORDS, "a\nb\r\n", "!");
    check(IMC_WORDS, "\n", "!");
    check(IMC_WORDS, "a\rb", "<a>!");
    check(IMC_WORDS, "\r\r\n", "!");
    check(IMC_WORDS, "a \n", "<a>_!");
    check_bytes(IMC_WORDS, "a\0b\r\n", 5, "!");
    check_bytes(IMC_WORDS, "\0", 1, "!");
    check(IMC_TEXT, "* OK a\nb\r\n", "<*>_<OK>' a'!");
    check(IMC_TEXT, "* OK a\rb\r\n", "<*>_<OK>' a'!");
    check(IMC_TEXT, "* OK a\r\r\n", "<*>_<OK>' a'!");
    check(IMC_TEXT, "* OK\n", "<*>_!");
    check_bytes(IMC_TEXT, "* OK a\0b\r\n", 10, "<*>_<OK>' a'!");
    check(IMC_DATA, "* L a\nb\r\n", "<*>_<L>!");
    check(IMC_DATA, "* L a\rb\r\n", "<*>_<L>!");
    check(IMC_DATA, "* L a\r\r\n", "<*>_<L>!");
    check(IMC_DATA, "* L {5}\n", "<*>_<L>!");
    check(IMC_DATA, "* L {5}\rh", "<*>_<L>!");
    check(IMC_DATA, "* L \"a\nb\"\r\n", "<*>_<L>!");
    check_bytes(IMC_DATA, "* L a\0b\r\n", 9, "<*>_<L>!");
    check_bytes(IMC_DATA, "* L \"\0\"\r\n", 9, "<*>_<L>!");
    check_bytes(IMC_DATA, "* L {\0}\r\n", 9, "<*>_<L>!");
}

/* Nothing of a line's state is left for the next one. */
static void lines_are_independent(void **state)
{
    (void)state;
    check(IMC_DATA, "* L {5\r\n* M }\r\n", "<*>_<L>$<*>_<M>$");
    check(IMC_DATA, "* L {5\r\n}\r\n* X\r\n", "<*>_<L>$<}>$<*>_<X>$");
    check(IMC_DATA, "* L {1}\r\n\"\r\n* M {1}\r\n\"\r\n", "<*>_<L>{1=\"}$<*>_<M>{1=\"}$");
    check(IMC_DATA, "* L {2}\r\n{5}\r\n* M \"\"\r\n", "<*>_<L>{2={5}$<*>_<M>$");
}

/* A word is kept as far as there is room, and the rest of it is read and gone. What was cut is as long as the room,
   and so equals nothing that the client knows (13 bytes are the longest). */
static void words_of_any_length(void **state)
{
    static const size_t lengths[] = {22, 23, 24, 25, 255, 256, 257, 1000};
    char input[1100], expected[64];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(lengths); i++) {
        size_t count = lengths[i], kept = count < 24 ? count : 24;

        memset(input, 'w', count);
        memcpy(input + count, " b\r\n", 5);
        expected[0] = '<';
        memset(expected + 1, 'w', kept);
        memcpy(expected + 1 + kept, ">_<b>$", 7);
        if (count < 300)
            check_bytes(IMC_WORDS, input, count + 4, expected);
        else {
            trace *t = malloc(sizeof *t);
            size_t at, size;

            assert_non_null(t);
            for (size = 1; size < 40; size += 6) {
                begin(t, IMC_WORDS);
                for (at = 0; at < count + 4; at += size)
                    feed(t, input + at, size < count + 4 - at ? size : count + 4 - at);
                compare(t, "1000 bytes", expected, "pieces of", size);
            }
            free(t);
        }
    }
}

/* A literal of more than 2 GB is counted down without being kept anywhere: here its last bytes. */
static void a_long_literal_ends_where_it_should(void **state)
{
    trace *t = malloc(sizeof *t);

    (void)state;
    assert_non_null(t);
    begin(t, IMC_DATA);
    feed(t, "* L {4294967295}\r\nab", 20);
    assert_true(t->lexer.number == 4294967293u);
    t->lexer.number = 3; /* the rest is skipped */
    feed(t, "cde)\r\nx y\r\n", 11);
    assert_string_equal(t->out, "<*>_<L>{4294967295=abcde}$<x>_<y>$");
    free(t);
}

/* ---- IMC_VALUES: in the traces an atom is 'a', a quoted string "'a', with nothing behind it when it is empty ---- */

static void atoms_and_parentheses(void **state)
{
    (void)state;
    check(IMC_VALUES, "* S\r\n", "<*>_<S>$");
    check(IMC_VALUES, "* S \r\n", "<*>_<S>_$");
    check(IMC_VALUES, "* S 1\r\n", "<*>_<S>_'1'$");
    check(IMC_VALUES, "* S 2 84 882\r\n", "<*>_<S>_'2'_'84'_'882'$");
    check(IMC_VALUES, "* S 2  3 \r\n", "<*>_<S>_'2'__'3'_$"); /* some servers are generous with spaces */
    check(IMC_VALUES, "* F (\\Answered \\*)\r\n", "<*>_<F>_('\\Answered'_'\\*')$");
    check(IMC_VALUES, "* F ()\r\n", "<*>_<F>_()$");
    check(IMC_VALUES, "* F (())\r\n", "<*>_<F>_(())$");
    check(IMC_VALUES, "* F ((a b) (c))\r\n", "<*>_<F>_(('a'_'b')_('c'))$");
    check(IMC_VALUES, "* F ((a)(b))x\r\n", "<*>_<F>_(('a')('b'))'x'$");
    check(IMC_VALUES, "* L (\\HasNoChildren) \"/\" INBOX\r\n", "<*>_<L>_('\\HasNoChildren')_\"'/'_'INBOX'$");
    check(IMC_VALUES, "* L () NIL x\r\n* L () nil y\r\n", "<*>_<L>_()_'NIL'_'x'$<*>_<L>_()_'nil'_'y'$");
    check(IMC_VALUES, "* X a}]<>+-.:;,!#$&'*%\x7f\x80\xff/\\@~\r\n",
          "<*>_<X>_'a}]<>+-.:;,!#$&'*%\x7f\x80\xff/\\@~'$");
}

/* RFC 3501 section 9, quoted: a backslash is not part of the value, what it stands before is. */
static void values_in_quotes(void **state)
{
    (void)state;
    check(IMC_VALUES, "* L \"abc\"\r\n", "<*>_<L>_\"'abc'$");
    check(IMC_VALUES, "* L \"\"\r\n", "<*>_<L>_\"$");
    check(IMC_VALUES, "* L \"\" \"\"\r\n", "<*>_<L>_\"_\"$");
    check(IMC_VALUES, "* L (\"\")\r\n", "<*>_<L>_(\")$");
    check(IMC_VALUES, "* L \"a b (c) {5} [d] NIL\"\r\n", "<*>_<L>_\"'a b (c) {5} [d] NIL'$");
    check(IMC_VALUES, "* L \"a\\\"b\"\r\n", "<*>_<L>_\"'a\"b'$");
    check(IMC_VALUES, "* L \"\\\\\"\r\n", "<*>_<L>_\"'\\'$");
    check(IMC_VALUES, "* L \"\\\"\"\r\n", "<*>_<L>_\"'\"'$");
    check(IMC_VALUES, "* L \"\\\\\\\"\\\\\" x\r\n", "<*>_<L>_\"'\\\"\\'_'x'$");
    check(IMC_VALUES, "* L \"\x01\t\x7f\xc3\xa4\xff\"\r\n", "<*>_<L>_\"'\x01\t\x7f\xc3\xa4\xff'$");
    check(IMC_VALUES, "* L (\"a\" \"b\")\r\n", "<*>_<L>_(\"'a'_\"'b')$");
    check(IMC_VALUES, "* L (\"a\")(\"b\")\r\n", "<*>_<L>_(\"'a')(\"'b')$");
    check(IMC_VALUES, "* L \"{5}\"\r\n* M \"{5}\r\n", "<*>_<L>_\"'{5}'$<*>_<M>_\"'{5}'!");
}

static void values_as_literals(void **state)
{
    (void)state;
    check(IMC_VALUES, "* L {5}\r\nhello\r\n", "<*>_<L>_{5=hello}$");
    check(IMC_VALUES, "* L ({5}\r\nhello)\r\n", "<*>_<L>_({5=hello})$");
    check(IMC_VALUES, "* L {0}\r\n\r\n", "<*>_<L>_{0=}$");
    check(IMC_VALUES, "* L {0}\r\n {2}\r\n\r\n x\r\n", "<*>_<L>_{0=}_{2=\r\n}_'x'$");
    check(IMC_VALUES, "* L () \"/\" {8}\r\n\"{9}\r\n()\r\n", "<*>_<L>_()_\"'/'_{8=\"{9}\r\n()}$");
    check(IMC_VALUES, "* F (B {3}\r\na)( C {1}\r\n\"))\r\n", "<*>_<F>_('B'_{3=a)(}_'C'_{1=\"}))$");
    check(IMC_VALUES, "* L {4294967295}\r\nabc", "<*>_<L>_{4294967295=abc");
    check(IMC_VALUES, "* L {0000000005}\r\nhello\r\n", "<*>_<L>_{5=hello}$");
    check_bytes(IMC_VALUES, "* L {3}\r\n\r\0\xff x\r\n", 16, "<*>_<L>_{3=\r");
}

/* RFC 3501 section 9, fetch "BODY" section: spaces, parentheses and quotes in there end nothing. Only the walker knows
   where one may begin, and elsewhere "[" is a letter like any other: a mailbox may be called so. */
static void sections_of_a_body(void **state)
{
    (void)state;
    check(IMC_VALUES | SECTIONS, "* F (BODY[] {2}\r\nhi)\r\n", "<*>_<F>_('BODY[]'_{2=hi})$");
    check(IMC_VALUES | SECTIONS, "* F (BODY[HEADER.FIELDS (TO CC)] NIL)\r\n",
          "<*>_<F>_('BODY[HEADER.FIELDS (TO CC)]'_'NIL')$");
    check(IMC_VALUES | SECTIONS, "* F (BODY[1.2.HEADER.FIELDS.NOT (\"a\" b)]<17> \"x\")\r\n",
          "<*>_<F>_('BODY[1.2.HEADER.FIELDS.NOT (\"a\" b)]<17>'_\"'x')$");
    check(IMC_VALUES | SECTIONS, "* F (BODY[] NIL BODY[TEXT] NIL)\r\n",
          "<*>_<F>_('BODY[]'_'NIL'_'BODY[TEXT]'_'NIL')$");
    check(IMC_VALUES | SECTIONS, "* F (BODY[\r\n", "<*>_<F>_('BODY['!");
    check(IMC_VALUES | SECTIONS, "* F (BODY[TEXT\r\n", "<*>_<F>_('BODY[TEXT'!");
    check(IMC_VALUES | SECTIONS, "* F (BODY[(A B) \"]\r\n", "<*>_<F>_('BODY[(A B) \"]'$");
    check(IMC_VALUES | SECTIONS, "* F \"BODY[\" x y\r\n", "<*>_<F>_\"'BODY['_'x'_'y'$"); /* not in quotes */
    check(IMC_VALUES, "* L () \"/\" a[b c\r\n", "<*>_<L>_()_\"'/'_'a[b'_'c'$");
    check(IMC_VALUES, "* L [ [[ ][\r\n", "<*>_<L>_'['_'[['_']['$");
}

/* Where one thing ends another one must not begin. */
static void malformed_values(void **state)
{
    static const char *const lines[][2] = {{"a\"b\"", "'a'!"},
                                           {"a(b)", "'a'!"},
                                           {"a{5}", "'a'!"},
                                           {"\"a\"b", "\"'a'!"},
                                           {"\"a\"\"b\"", "\"'a'!"},
                                           {"\"a\"(", "\"'a'!"},
                                           {"\"a\"{1}", "\"'a'!"},
                                           {"\"\"x", "\"!"},
                                           {"{1}x", "!"},
                                           {"{1} x", "!"},
                                           {"{1})", "!"},
                                           {"{}", "!"},
                                           {"{", "!"},
                                           {"{1", "!"},
                                           {"{+}", "!"},
                                           {"{1+}", "!"}, /* RFC 7888 section 3 */
                                           {"{1++}", "!"},
                                           {"{-1}", "!"},
                                           {"{a}", "!"},
                                           {"{1a}", "!"},
                                           {"{1}}", "!"},
                                           {"{4294967296}", "!"},
                                           {"{00000000001}", "!"},
                                           {"{18446744073709551617}", "!"},
                                           {"\"a", "\"'a'!"},
                                           {"\"", "\"!"},
                                           {"\"a\\", "\"'a'!"},
                                           {"\"a\\\"", "\"'a\"'!"},
                                           {"\"a\nb\"", "\"'a'!"},
                                           {"\"a\\\n\"", "\"'a'!"},
                                           {"\"a\n\"\"", "\"'a'!"}, /* LF escapes nothing */
                                           {"\"a\rb\"", "\"'a'!"},
                                           {"a\nb", "'a'!"},
                                           {"a\rb", "'a'!"},
                                           {"\n", "!"},
                                           {"a\tb", "'a'!"},
                                           {"\x01", "!"},
                                           {"(\x1f)", "(!"}};
    char input[80], expected[80];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(lines); i++) {
        sprintf(input, "* L %s\r\n", lines[i][0]);
        sprintf(expected, "<*>_<L>_%s", lines[i][1]);
        check(IMC_VALUES, input, expected);
    }
    check(IMC_VALUES, "* L {1}\r\nab\r\n", "<*>_<L>_{1=a}!"); /* what follows a literal */
    check(IMC_VALUES, "* L {1}\r\na\"b\"\r\n", "<*>_<L>_{1=a}!");
    check(IMC_VALUES, "* L {1}\r\na(b)\r\n", "<*>_<L>_{1=a}!");
    check(IMC_VALUES, "* L {1}\r\na{1}\r\n", "<*>_<L>_{1=a}!");
    check_bytes(IMC_VALUES, "* L a\0b\r\n", 9, "<*>_<L>_'a'!");
    check_bytes(IMC_VALUES, "* L \"a\0b\"\r\n", 11, "<*>_<L>_\"'a'!");
    check_bytes(IMC_VALUES, "* L \"a\\\0\"\r\n", 11, "<*>_<L>_\"'a'!");
    check_bytes(IMC_VALUES, "* L {\0}\r\n", 9, "<*>_<L>_!");
}

/* RFC 3501 section 9, literal: digits stand in the braces, and no second brace. */
static void a_brace_in_a_size_is_malformed(void **state)
{
    (void)state;
    check(IMC_VALUES, "* L {{1}\r\na\r\n", "<*>_<L>_!");
    check(IMC_VALUES, "* L {5{1}\r\na\r\n", "<*>_<L>_!");
    check(IMC_VALUES, "* L {5}{1}\r\na\r\n", "<*>_<L>_!");
}

/* What is left of a line of values must not change the next one, whatever that is. */
static void values_and_the_next_line(void **state)
{
    (void)state;
    check(IMC_VALUES, "* L \"a\"\r\nx y\r\n", "<*>_<L>_\"'a'$<x>_<y>$");
    check(IMC_VALUES, "* L {1}\r\na\r\n* M {1}\r\nb\r\n", "<*>_<L>_{1=a}$<*>_<M>_{1=b}$");
    check(IMC_VALUES, "* L ((\r\n* M a\r\n", "<*>_<L>_(($<*>_<M>_'a'$");
    check(IMC_VALUES, "* L a\r\n* M \"b\"\r\n", "<*>_<L>_'a'$<*>_<M>_\"'b'$");
}

/* A small generator, the same in every run. */
static uint32_t seed = 20260103;

static uint32_t pick(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

/* Lines with some bytes changed for those that mean something: the first trace is that of the whole line. */
static void changed_values_in_every_piece(void **state)
{
    static const char *const lines[] = {"* L (\\A b) \"a\\\"\\\\\" {3}\r\nabc\r\n* M x\r\n",
                                        "* F (B[H (X)]<0> {2}\r\n)) C \"\" D ((e)(f)))\r\n",
                                        "* S 1 22 333 {0}\r\n {1}\r\n\"\r\n* S\r\n"};
    static const char bytes[] = {'\r', '\n', '\0', ' ', '"', '\\', '{', '}', '(', ')', '+', '3', '0', '[', ']', 'a'};
    trace *whole = malloc(sizeof *whole);
    int i;

    (void)state;
    assert_non_null(whole);
    for (i = 0; i < 2000; i++) {
        const char *line = lines[pick(COUNT(lines))];
        size_t count = strlen(line);
        char text[80];
        uint32_t changes = 1 + pick(4);
        int mode = IMC_VALUES | (pick(2) ? SECTIONS : 0);

        assert_true(count < sizeof text);
        memcpy(text, line, count + 1);
        while (changes-- > 0)
            text[4 + pick((uint32_t)count - 4)] = bytes[pick(COUNT(bytes))];
        begin(whole, mode);
        feed(whole, text, count);
        if (strlen(whole->out) == whole->used) /* a NUL in a literal ends a C string */
            check_bytes(mode, text, count, whole->out);
    }
    free(whole);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(words_and_spaces),
    cmocka_unit_test(text_is_never_looked_into),
    cmocka_unit_test(data_lines),
    cmocka_unit_test(literals),
    cmocka_unit_test(a_literal_takes_any_byte),
    cmocka_unit_test(braces_that_are_no_literal),
    cmocka_unit_test(sizes_at_the_limit),
    cmocka_unit_test(a_server_sends_no_plus),
    cmocka_unit_test(quoted_strings),
    cmocka_unit_test(bare_cr_bare_lf_and_nul),
    cmocka_unit_test(lines_are_independent),
    cmocka_unit_test(words_of_any_length),
    cmocka_unit_test(a_long_literal_ends_where_it_should),
    cmocka_unit_test(atoms_and_parentheses),
    cmocka_unit_test(values_in_quotes),
    cmocka_unit_test(values_as_literals),
    cmocka_unit_test(sections_of_a_body),
    cmocka_unit_test(malformed_values),
    cmocka_unit_test(a_brace_in_a_size_is_malformed),
    cmocka_unit_test(values_and_the_next_line),
    cmocka_unit_test(changed_values_in_every_piece),
};
TEST_MAIN(tests)
