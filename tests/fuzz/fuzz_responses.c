/* fuzz_responses.c: the lexer, and what a session that is logged in makes of responses that nobody asked for: they are
   read, logged, listed and streamed, whatever is in them.

   An input: four options (fuzz_script_begin), a limit of a reply, the calls' letters up to the end of the line, and the
   script. What the client does with the script matters less here; the same bytes go through the lexer alone, too. */

#include "fuzz.h"

typedef struct responses_input {
    fuzz_script script;
    uint32_t max_reply;
    char *calls;
} responses_input;

static responses_input input;

static void read_input(fuzz_input *rest)
{
    fuzz_script_begin(&input.script, rest);
    input.max_reply = fuzz_option(rest) * 10;
    input.calls = fuzz_line(rest, 6);
    fuzz_say(&input.script.says, "* PREAUTH [CAPABILITY IMAP4rev1] hello\r\n|");
    fuzz_script_end(&input.script, rest);
}

/* ---- the lexer alone ---- */

/* A token into a text; pieces that follow one another are one. */
static int say_token(fuzz_text *out, const imapconnect_lexer *lexer, int token, const imc_slice *piece, int last)
{
    if (token == IMC_MORE)
        return last;
    if (token == IMC_PIECE || token == IMC_LITERAL_PIECE) {
        if (token != last)
            fuzz_say(out, "<%d>", token);
        fuzz_add(out, piece->bytes, piece->count);
        return token;
    }
    fuzz_say(out, "<%d %u>", token, token == IMC_LITERAL_BEGIN ? (unsigned)lexer->number : 0);
    if (token == IMC_WORD)
        fuzz_add(out, lexer->word, lexer->length);
    return token;
}

/* Reads all in pieces; the lines that follow the first are read in the same mode. */
static void read_tokens(const fuzz_input *text, int mode, int chunk, fuzz_text *out)
{
    imapconnect_lexer lexer;
    size_t from = 0;
    int last = -1;
    memset(&lexer, 0, sizeof lexer);
    lexer.mode = (uint8_t)mode;
    out->count = 0;
    while (from < text->count && last != IMC_MALFORMED) {
        size_t rest = text->count - from, size = chunk == 0 || (size_t)chunk > rest ? rest : (size_t)chunk;
        char *piece = (char *)malloc(size); /* nobody may read behind it */
        const char *at = piece, *end = piece + size;
        int token = -1;
        if (piece == 0)
            abort();
        memcpy(piece, text->bytes + from, size);
        while (token != IMC_MORE && token != IMC_MALFORMED) {
            imc_slice slice = {0, 0};
            token = imc_lexer_next(&lexer, &at, end, &slice);
            last = say_token(out, &lexer, token, &slice, last);
            fuzz_require(0, at <= end, "the lexer reads too far");
            fuzz_require(0, token != IMC_MORE || at == end, "the lexer stops too early");
            if (token == IMC_LINE_END)
                lexer.mode = (uint8_t)mode;
        }
        free(piece);
        from += size;
    }
}

static void try_lexer(const fuzz_input *text)
{
    static const int chunks[] = {1, 2, 5, 13};
    static fuzz_text whole, pieces;
    int mode;
    size_t i;
    for (mode = IMC_WORDS; mode <= IMC_VALUES; mode++) {
        read_tokens(text, mode, 0, &whole);
        for (i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
            read_tokens(text, mode, chunks[i], &pieces);
            if (whole.count == pieces.count &&
                (whole.count == 0 || memcmp(whole.bytes, pieces.bytes, whole.count) == 0))
                continue;
            fuzz_print("at once", &whole);
            fuzz_print("in pieces", &pieces);
            fuzz_fail(0, "SECURITY 3, 23: other tokens", __LINE__);
        }
    }
}

/* ---- a session ---- */

static int call(fuzz_run *run, char letter)
{
    imapconnect_session *session = run->session;
    switch (letter) {
    case 'f':
        return fuzz_result(run, "fetch", imapconnect_command(session, "FETCH 1:* (FLAGS BODY[])", &run->list));
    case 'c':
        return fuzz_result(run, "check", imapconnect_check(session, &run->list));
    case 'd':
        return fuzz_result(run, "disconnect", imapconnect_disconnect(session, &run->list));
    default:
        return fuzz_result(run, "noop", imapconnect_noop(session, &run->list));
    }
}

static void replay(fuzz_run *run, const fuzz_way *way)
{
    imapconnect_config config;
    const char *next;
    fuzz_begin(run, &input.script, way);
    fuzz_config(run, &config);
    config.max_reply = input.max_reply;
    (void)imapconnect_init(run->session, &config);
    if (fuzz_connect(run, input.script.user, input.script.secret, IMAPCONNECT_INSECURE) >= 0)
        for (next = input.calls; *next != '\0' && imapconnect_is_open(run->session); next++)
            (void)call(run, *next);
    fuzz_finish(run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input rest;
    size_t i;
    rest.bytes = (const char *)data;
    rest.count = size;
    read_input(&rest);
    try_lexer(&rest);
    for (i = 0; i < FUZZ_WAYS; i++)
        replay(&fuzz_runs[i], &fuzz_ways[i]);
    fuzz_compare();
    free(input.calls);
    return 0;
}
