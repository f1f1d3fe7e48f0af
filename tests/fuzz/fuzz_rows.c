/* fuzz_rows.c: the commands of a session that is logged in: what they hand out, and what they send.

   An input: four options (fuzz_script_begin), then

       offers     what the server can do: IDLE, MOVE, UIDPLUS, LITERAL+, LITERAL-, a bit each
       begins     UTF8=ACCEPT, an open mailbox with three messages, a list, no list of capabilities, a limit: a bit each
       calls      up to four of three letters (which, with which argument, how), up to the end of the line
       first      a text for arguments, up to the end of the line
       second     another one

   and then the script, which begins behind the login. */

#include "fuzz.h"

#include "model.h"

#define CALLS 4

typedef struct rows_input {
    fuzz_script script;
    unsigned offers, begins;
    char calls[3 * CALLS + 1];
    char *first, *second;
} rows_input;

static rows_input input;

/* What a source gives, and where it stops: in the middle, so that it cancels. */
typedef struct upload {
    fuzz_run *run;
    uint32_t given, stops;
} upload;

/* What may be asked of a call's parameters. */
typedef struct request {
    char which;
    unsigned argument, how;
} request;

/* Of messages; the fourth cannot be. */
static const uint32_t ranges[][2] = {{0, 0}, {2, 3}, {2, 0}, {3, 2}, {1, 1}, {5, 9}};
#define RANGES (sizeof ranges / sizeof ranges[0])

/* ---- reading the input ---- */

enum { WITH_UTF8 = 1, WITH_MAILBOX = 2, WITHOUT_LIST = 4, WITHOUT_CAPABILITIES = 8, WITH_LIMIT = 16 };

/* The login, and what else the session begins with. */
static void say_hello(fuzz_text *says)
{
    static const char *const names[] = {" IDLE", " MOVE", " UIDPLUS", " LITERAL+", " LITERAL-"};
    fuzz_text offers = {0, 0, 0};
    unsigned i;
    for (i = 0; i < 5; i++)
        if (input.offers >> i & 1)
            fuzz_say(&offers, "%s", names[i]);
    fuzz_add(&offers, "", 0);
    if (input.begins & WITHOUT_CAPABILITIES)
        fuzz_say(says, "* OK [CAPABILITY IMAP4rev1%s] hello\r\n|` OK\r\n", offers.bytes);
    else
        fuzz_say(says, "* PREAUTH [CAPABILITY IMAP4rev1%s] hello\r\n", offers.bytes);
    free(offers.bytes);
    if (input.begins & WITH_UTF8)
        fuzz_say(says, "|* ENABLED UTF8=ACCEPT\r\n` OK\r\n");
    if (input.begins & WITH_MAILBOX)
        fuzz_say(says, "|* 3 EXISTS\r\n* FLAGS (\\Seen)\r\n` OK [READ-WRITE]\r\n");
    fuzz_add(says, "|", 1);
}

static void read_input(const uint8_t *data, size_t size)
{
    fuzz_input rest;
    char *calls;
    rest.bytes = (const char *)data;
    rest.count = size;
    fuzz_script_begin(&input.script, &rest);
    input.offers = fuzz_option(&rest);
    input.begins = fuzz_option(&rest);
    calls = fuzz_line(&rest, 3 * CALLS);
    memset(input.calls, 0, sizeof input.calls);
    memcpy(input.calls, calls, strlen(calls));
    free(calls);
    input.script.log_varies = strchr(input.calls, 'm') != 0;
    if (input.script.log_varies)
        input.script.cancel_log = 0; /* which of its lines is the last is up to the pieces, too */
    input.first = fuzz_line(&rest, 600);
    input.second = fuzz_line(&rest, 600);
    say_hello(&input.script.says);
    fuzz_script_end(&input.script, &rest);
    if (input.script.list_size < 300)
        input.script.list_size = 300; /* small lists are for fuzz_responses.c */
}

/* A text for an argument; each in memory of its own size. */
static const char *text_of(unsigned argument)
{
    static char longs[3][400];
    static const char *const texts[] = {"INBOX", "Entw\xc3\xbcrfe",    "a\"b\\c",   "\xff&-x\xe4\"\\",
                                        "",      "\xf0\x9f\x93\xac/&", "{3}",       "*",
                                        "a\nb",  "x\r\na9 LOGOUT",     "\t\x01\x7f"};
    unsigned i;
    if (longs[0][0] == '\0') {
        memset(longs[0], 'x', 399);
        for (i = 0; i < 199; i++)
            memcpy(longs[1] + 2 * i, "\xc3\xbc", 3);
        memset(longs[2], 0xe4, 399);
        longs[2][0] = '\xff';
    }
    switch (argument % 16) {
    case 0:
        return input.first;
    case 1:
        return input.second;
    case 2:
    case 3:
    case 4:
        return longs[argument % 16 - 2];
    default:
        return texts[(argument % 16 - 5) % (sizeof texts / sizeof texts[0])];
    }
}

static uint32_t uid_of(unsigned argument)
{
    static const uint32_t uids[] = {7, 1, 3, 5, 0, 0xffffffff, 2, 4294967294u};
    return uids[argument % 8];
}

/* ---- what the calls hand out ---- */

/* What every row-taker does: it may not call, and it may cancel at the row that the input says. */
static int took_row(fuzz_run *run)
{
    fuzz_call_from_callback(run);
    return run->script->cancel_line != 0 && ++run->rows == run->script->cancel_line;
}

static void check_name(fuzz_run *run, const char *name)
{
    int raw = (uint8_t)name[0] == 0xff;
    fuzz_require(run, raw || slow_utf8_is_valid((const unsigned char *)name, strlen(name)),
                 "a name that is neither UTF-8 nor raw");
    fuzz_add(&run->names, run->session->engine.utf8 ? "8" : "7", 1); /* how it travels */
    fuzz_add(&run->names, name, strlen(name) + 1);
    fuzz_say(&run->outcome, "name ");
    fuzz_add(&run->outcome, name, strlen(name));
    fuzz_add(&run->outcome, "\n", 1);
}

/* A name as it was on the wire. */
static void tell_name(fuzz_run *run, const char *name)
{
    char wire[4096];
    size_t count = strlen(name);
    if ((uint8_t)name[0] == 0xff) {
        name++;
        count--;
    } else if (!run->session->engine.utf8) {
        count = slow_utf7_encode((const unsigned char *)name, count, wire);
        name = wire;
    }
    fuzz_add(&run->told, name, count);
    fuzz_add(&run->told, "\n", 1);
}

static int on_mailbox(void *user, const imapconnect_mailbox *row)
{
    fuzz_run *run = (fuzz_run *)user;
    fuzz_say(&run->outcome, "mailbox %d %d %d %d %d %d %d\n", row->separator, row->has_children, row->no_inferiors,
             row->no_select, row->marked, row->unmarked, row->raw);
    check_name(run, row->name);
    fuzz_say(&run->told, "mailbox %d %d %d %d %d %d ", row->separator, row->has_children, row->no_inferiors,
             row->no_select, row->marked, row->unmarked);
    tell_name(run, row->name);
    fuzz_require(run, row->raw == ((uint8_t)row->name[0] == 0xff), "raw, or not raw");
    fuzz_require(run, row->has_children >= -1 && row->has_children <= 1, "a column with three states has four");
    fuzz_require(run, row->no_inferiors <= 1 && row->no_select <= 1 && row->marked <= 1 && row->unmarked <= 1,
                 "a flag that is neither 0 nor 1");
    return took_row(run);
}

static int on_namespace(void *user, const imapconnect_namespace *row)
{
    fuzz_run *run = (fuzz_run *)user;
    fuzz_say(&run->outcome, "namespace %d %d\n", row->separator, row->kind);
    check_name(run, row->prefix);
    fuzz_say(&run->told, "namespace %d %d ", row->separator, row->kind);
    tell_name(run, row->prefix);
    fuzz_require(run, row->kind <= 2, "a namespace of a fourth kind");
    return took_row(run);
}

static void say_flags(fuzz_text *out, const imapconnect_flags *flags)
{
    fuzz_say(out, "%d%d%d%d%d%d%d\n", flags->answered, flags->deleted, flags->draft, flags->flagged, flags->recent,
             flags->seen, flags->keywords);
}

static int on_message(void *user, const imapconnect_message *row)
{
    fuzz_run *run = (fuzz_run *)user;
    fuzz_require(run, memchr(row->internal_date, '\0', sizeof row->internal_date) == row->internal_date + 26,
                 "a date of another length");
    fuzz_say(&run->told, "message %u %u %u %s ", (unsigned)row->sequence, (unsigned)row->uid, (unsigned)row->size,
             row->internal_date);
    say_flags(&run->told, &row->flags);
    fuzz_require(run, row->sequence != 0 && row->uid != 0, "a message without a number");
    return took_row(run);
}

static int on_uid(void *user, uint32_t uid)
{
    fuzz_run *run = (fuzz_run *)user;
    fuzz_say(&run->told, "uid %u\n", (unsigned)uid);
    fuzz_require(run, uid != 0, "a UID that is 0");
    return took_row(run);
}

static int on_news(void *user, int what, uint32_t number)
{
    fuzz_run *run = (fuzz_run *)user;
    fuzz_say(&run->outcome, "news %d %u\n", what, (unsigned)number);
    fuzz_require(run, what >= IMAPCONNECT_NEWS_EXISTS && what <= IMAPCONNECT_NEWS_FLAGS, "news of a fifth kind");
    if (number % 5 == 4)
        imapconnect_idle_stop(run->session);
    return took_row(run) || number % 5 == 3;
}

static int sink(void *user, const void *bytes, size_t count)
{
    fuzz_run *run = (fuzz_run *)user;
    fuzz_require(run, count > 0, "a sink is called for nothing");
    fuzz_add(&run->told, bytes, count);
    fuzz_call_from_callback(run);
    return 0;
}

static int source(void *user, void *bytes, size_t count)
{
    upload *u = (upload *)user;
    size_t size = count, i;
    fuzz_require(u->run, count > 0, "a source is asked for nothing");
    if (u->run->way->chunk != FUZZ_WHOLE && u->stops == 0 &&
        !u->run->script->early) /* or the pieces decide what leaves */
        size = 1 + fuzz_random(u->run) % count;
    if (u->stops != 0 && size > u->stops - u->given)
        size = u->stops - u->given;
    for (i = 0; i < size; i++)
        ((char *)bytes)[i] = "Subject: x\r\n\r\n{3}\r\na9 LOGIN\xff\"\\"[u->given++ % 31];
    fuzz_call_from_callback(u->run);
    return (int)size; /* 0 where it stops: that cancels */
}

/* ---- a message that was received is one string of the server's, and a name that was handed out is one of its values ----
   Found by looking everywhere in what the server said, without knowing what a response is. */

/* A quoted string behind its quote, without its backslashes; returns 0 where it does not end. */
static int unquote(const fuzz_text *from, size_t at, fuzz_text *out)
{
    out->count = 0;
    for (; at < from->count && from->bytes[at] != '"'; at++) {
        if (from->bytes[at] == '\\' && ++at == from->count)
            return 0;
        fuzz_add(out, from->bytes + at, 1);
    }
    return at < from->count;
}

/* The bytes behind a literal's header at `at`, of which there must be `size`. */
static int is_literal(const fuzz_text *from, size_t at, const char *bytes, size_t size)
{
    char header[20];
    size_t count = (size_t)snprintf(header, sizeof header, "{%zu}\r\n", size), digits = at + 1;
    while (digits < from->count && from->bytes[digits] == '0') /* a number may begin with zeros */
        digits++;
    if (size == 0)
        digits--;
    return digits + count - 1 + size <= from->count && memcmp(from->bytes + digits, header + 1, count - 1) == 0 &&
           memcmp(from->bytes + digits + count - 1, bytes, size) == 0;
}

/* Has the server said these bytes as a literal, as a quoted string, or between two signs that end an atom? */
static int was_said(const fuzz_run *run, const char *bytes, size_t size, int as_atom)
{
    static fuzz_text string;
    const fuzz_text *from = &run->stream;
    size_t at;
    for (at = 0; at < run->read; at++) {
        char c = from->bytes[at];
        if (c == '{' && is_literal(from, at, bytes, size))
            return 1;
        if (c == '"' && unquote(from, at + 1, &string) && string.count == size &&
            memcmp(string.bytes, bytes, size) == 0)
            return 1;
        if (as_atom && (c == ' ' || c == '(') && at + 1 + size < from->count &&
            memcmp(from->bytes + at + 1, bytes, size) == 0 && strchr(" )(\r", from->bytes[at + 1 + size]) != 0)
            return 1;
    }
    return 0;
}

static void check_message(fuzz_run *run, int result)
{
    const fuzz_text *got = &run->told;
    if (result == 0 && got->count != 0)
        fuzz_require(run, was_said(run, got->bytes, got->count, 0), "a message that the server did not send");
}

/* What was handed out is what the reply holds, by the model. A line that began before the command had left is no part of
   the reply. */
static void check_model(fuzz_run *run, const model_request *wanted)
{
    static model m;
    const imapconnect_session *session = run->session;
    size_t end = run->read - (size_t)(session->in_end - session->in_at);
    if (run->script->early || run->asked == 0 || run->stream.bytes[run->asked - 1] != '\n')
        return;
    if (strcmp(wanted->reads, "SELECT") == 0 || strcmp(wanted->reads, "STATUS") == 0)
        model_read_numbers(&m, wanted->reads[1] == 'T', run->stream.bytes, run->asked, end);
    else
        model_read(&m, wanted, run->stream.bytes, run->asked, end);
    if (m.unsure || (m.rows.count == run->told.count &&
                     (m.rows.count == 0 || memcmp(m.rows.bytes, run->told.bytes, m.rows.count) == 0)))
        return;
    fuzz_print("handed out", &run->told);
    fuzz_print("the model", &m.rows);
    fuzz_fail(run, "what was handed out is not what the reply holds", __LINE__);
}

/* What a call was asked for, in the model's terms. */
static void check_rows(fuzz_run *run, const request *r, int result)
{
    model_request wanted = {"SEARCH", 0, 1, 0};
    if (strchr("efg", r->which) != 0)
        check_message(run, result);
    fuzz_add(&run->outcome, run->told.bytes, run->told.count);
    if (result != 0 || strchr("abcdefghijkl", r->which) == 0)
        return;
    if (r->which <= 'b')
        wanted.reads = r->which == 'a' ? "LIST" : "LSUB";
    else if (r->which <= 'd')
        wanted.reads = strcmp(run->parser.verb, "NOOP") == 0 ? "nothing" : "FETCH"; /* an empty mailbox */
    else if (r->which <= 'g')
        wanted.reads = "BODY";
    else if (r->which == 'l')
        wanted.reads = "NAMESPACE";
    else if (r->which != 'h')
        wanted.reads = r->which == 'i' ? "STATUS" : "SELECT";
    wanted.by_uid = r->which == 'd';
    if (r->which == 'c' || r->which == 'd') {
        wanted.first = ranges[r->how % RANGES][0] != 0 ? ranges[r->how % RANGES][0] : 1;
        wanted.last = ranges[r->how % RANGES][1];
    }
    check_model(run, &wanted);
}

/* What the client has sent as the only argument of its last command; the bytes go to `out`. */
static int sent_argument(const fuzz_run *run, size_t from, fuzz_text *out)
{
    fuzz_text sent = run->wire;
    while (from < sent.count && sent.bytes[from] != '"' && sent.bytes[from] != '{')
        from++;
    out->count = 0;
    if (from == sent.count)
        return 0;
    if (sent.bytes[from] == '"')
        return unquote(&sent, from + 1, out);
    while (from < sent.count && sent.bytes[from++] != '\n')
        ;
    fuzz_add(out, sent.bytes + from, sent.count - from - 2);
    return 1;
}

/* A session of its own, in which a name goes to the server; `wire` is what it sent for that. */
static void send_name(fuzz_run *other, const char *name, int utf8, size_t *from)
{
    static fuzz_script script;
    imapconnect_config config;
    script.list_size = 1;
    script.says.count = 0;
    fuzz_say(&script.says, "* PREAUTH [CAPABILITY IMAP4rev1]\r\n|");
    fuzz_say(&script.says, utf8 ? "* ENABLED UTF8=ACCEPT\r\n` OK\r\n|+ \r\n" : "+ \r\n");
    memcpy(script.secret, "-", 2);
    fuzz_begin(other, &script, &fuzz_ways[0]);
    fuzz_config(other, &config);
    (void)imapconnect_init(other->session, &config);
    (void)imapconnect(other->session, "imap.example.org", "u", "p", 0, 0, 0, 0);
    other->utf8 = utf8;
    if (utf8)
        (void)imapconnect_enable(other->session, "UTF8=ACCEPT", 0);
    *from = other->wire.count;
    (void)imapconnect_delete_mailbox(other->session, name, 0);
    imapconnect_close(other->session);
    free(other->session);
    free(other->list.text);
}

/* Each name that was handed out goes back to the server, and arrives as one of the values that the server had said. */
static void check_name_goes_back(fuzz_run *run, const char *name, int utf8)
{
    static fuzz_text argument;
    static fuzz_run other;
    size_t from;
    if (!imc_commands_is_line(name, strlen(name)))
        return; /* such a name cannot be sent */
    send_name(&other, name, utf8, &from);
    fuzz_require(run, sent_argument(&other, from, &argument), "a name that was handed out cannot be sent back");
    fuzz_require(run, argument.count == 0 || was_said(run, argument.bytes, argument.count, 1),
                 "a name that was handed out and sent back is another one");
}

static void check_names(fuzz_run *run)
{
    const fuzz_text *names = &run->names;
    size_t at, tries = 0;
    for (at = 0; at < names->count && tries < 8; at += strlen(names->bytes + at) + 1, tries++)
        check_name_goes_back(run, names->bytes + at + 1, names->bytes[at] == '8');
}

/* ---- the calls ---- */

/* Outputs: what was in them before stays there unless the call ends well. */
static void check_untouched(fuzz_run *run, const void *output, size_t size)
{
    size_t i;
    for (i = 0; i < size; i++)
        fuzz_require(run, ((const unsigned char *)output)[i] == 0xa5,
                     "an output is written though the call has failed");
}

static int call_select(fuzz_run *run, const request *r, imapconnect_list *list)
{
    imapconnect_selection s;
    const char *name = text_of(r->argument);
    int result;
    memset(&s, 0xa5, sizeof s);
    result = r->which == 'k' ? imapconnect_examine_mailbox(run->session, name, &s, list)
                             : imapconnect_select_mailbox(run->session, name, &s, list);
    if (result < 0)
        check_untouched(run, &s, sizeof s);
    result = fuzz_result(run, "select", result);
    if (result < 0) {
        check_untouched(run, &s, sizeof s);
        return result;
    }
    fuzz_say(&run->told, "%u %u %u %u %u\n", (unsigned)s.messages, (unsigned)s.recent, (unsigned)s.uidnext,
             (unsigned)s.uidvalidity, (unsigned)s.unseen);
    fuzz_say(&run->outcome, "read-only %d\n", s.read_only);
    say_flags(&run->outcome, &s.flags);
    say_flags(&run->outcome, &s.permanent_flags);
    fuzz_require(run, s.read_only <= 1, "read-only is neither 0 nor 1");
    return result;
}

static int call_status(fuzz_run *run, const request *r, imapconnect_list *list)
{
    imapconnect_status s;
    int result;
    memset(&s, 0xa5, sizeof s);
    result = imapconnect_mailbox_status(run->session, text_of(r->argument), &s, list);
    result = fuzz_result(run, "status", result);
    if (result < 0)
        check_untouched(run, &s, sizeof s);
    else
        fuzz_say(&run->told, "%u %u %u %u %u\n", (unsigned)s.messages, (unsigned)s.recent, (unsigned)s.uidnext,
                 (unsigned)s.uidvalidity, (unsigned)s.unseen);
    return result;
}

static int call_part(fuzz_run *run, const request *r, imapconnect_list *list)
{
    static const char *const sections[] = {"", "HEADER", "1.2", "HEADER.FIELDS (SUBJECT DATE)", "TEXT", 0};
    static const uint32_t ranges[][2] = {{0, 0}, {0, 4}, {3, 0}, {2, 5}, {0xffffffff, 0xffffffff}};
    imapconnect_part part;
    unsigned section = r->argument % 8;
    part.section = section < 6 ? sections[section] : text_of(r->argument);
    part.offset = ranges[r->how % 5][0];
    part.count = ranges[r->how % 5][1];
    part.mark_seen = r->how / 5 % 2 != 0;
    return fuzz_result(run, "part", imapconnect_recv_part(run->session, uid_of(0), &part, sink, run, list));
}

static int call_append(fuzz_run *run, const request *r, imapconnect_list *list)
{
    static const uint32_t sizes[] = {0, 1, 3, 40, 700, 5000};
    imapconnect_flags flags = {1, 0, 0, 0, 1, 1, 1};
    upload u = {0, 0, 0};
    uint32_t size = sizes[r->how % 6];
    const char *date = r->how & 32 ? "17-Jul-1996 02:44:25 -0700" : r->how & 64 ? text_of(0) : 0;
    u.run = run;
    u.stops = r->how & 128 ? size / 2 : 0;
    return fuzz_result(run, "append",
                       imapconnect_append(run->session, text_of(r->argument), r->how & 16 ? &flags : 0, date, size,
                                          source, &u, list));
}

static int call_search(fuzz_run *run, const request *r, imapconnect_list *list)
{
    static const char *const criteria[] = {"UNSEEN", "SUBJECT", "FROM", "TEXT"};
    static const char *const charsets[] = {0, "UTF-8", "utf-8", "X-\"Y"};
    const char *what = r->how % 8 < 4 ? criteria[r->how % 8] : text_of(r->how / 8);
    const char *text = r->how % 4 == 0 ? 0 : text_of(r->argument);
    run->loose = r->how % 8 >= 4; /* the criteria are the caller's */
    return fuzz_result(run, "search",
                       imapconnect_search(run->session, what, text, charsets[r->how / 8 % 4], on_uid, run, list));
}

static int call_idle(fuzz_run *run, const request *r, imapconnect_list *list)
{
    static const uint32_t times[] = {0, 1000, 1, 59999, 700000, 0xffffffff};
    return fuzz_result(
        run, "idle",
        imapconnect_idle(run->session, times[r->how % 6], r->argument % 2 != 0 ? 0 : on_news, run, list));
}

static int call_messages(fuzz_run *run, const request *r, imapconnect_list *list)
{
    const uint32_t *range = ranges[r->how % RANGES];
    int by = r->which == 'c' ? IMAPCONNECT_BY_SEQUENCE : IMAPCONNECT_BY_UID;
    return fuzz_result(run, "messages",
                       imapconnect_list_messages(run->session, by, range[0], range[1], on_message, run, list));
}

static int call_flags(fuzz_run *run, const request *r, imapconnect_list *list)
{
    int wanted[5];
    unsigned i, how = r->how;
    for (i = 0; i < 5; i++, how /= 3)
        wanted[i] = (int)(how % 3) - 1;
    return fuzz_result(run, "flags",
                       imapconnect_set_message_flags(run->session, uid_of(r->argument), wanted[0], wanted[1],
                                                     wanted[2], wanted[3], wanted[4], list));
}

/* Those that a name, and perhaps another one, is all that they take. */
static int call_named(fuzz_run *run, const request *r, imapconnect_list *list)
{
    imapconnect_session *session = run->session;
    const char *name = text_of(r->argument), *other = text_of(r->how / 8);
    switch (r->how % 6) {
    case 0:
        return imapconnect_create_mailbox(session, name, list);
    case 1:
        return imapconnect_delete_mailbox(session, name, list);
    case 2:
        return imapconnect_subscribe_mailbox(session, name, list);
    case 3:
        return imapconnect_unsubscribe_mailbox(session, name, list);
    case 4:
        return imapconnect_id(session, name, r->how & 64 ? other : 0, list);
    default:
        return imapconnect_rename_mailbox(session, name, other, list);
    }
}

/* Those that take nothing. */
static int call_bare(fuzz_run *run, const request *r, imapconnect_list *list)
{
    imapconnect_session *session = run->session;
    switch (r->how % 6) {
    case 0:
        return imapconnect_close_mailbox(session, list);
    case 1:
        return imapconnect_unselect_mailbox(session, list);
    case 2:
        return imapconnect_check(session, list);
    case 3:
        return imapconnect_expunge_messages(session, list);
    case 4:
        return imapconnect_id(session, 0, 0, list);
    default:
        return imapconnect_noop(session, list);
    }
}

/* Those whose rows, or whose arguments, are the matter. */
static int call_simple(fuzz_run *run, const request *r, imapconnect_list *list)
{
    imapconnect_session *session = run->session;
    const char *text = text_of(r->argument), *other = text_of(r->how);
    switch (r->which) {
    case 'a':
        return imapconnect_list_mailboxes(session, text, other, on_mailbox, run, list);
    case 'b':
        return imapconnect_list_subscribed_mailboxes(session, text, other, on_mailbox, run, list);
    case 'e':
        return imapconnect_recv_headers(session, uid_of(r->how), sink, run, list);
    case 'f':
        return imapconnect_recv_message(session, uid_of(r->how), sink, run, list);
    case 'l':
        return imapconnect_list_namespaces(session, on_namespace, run, list);
    case 'o':
        return imapconnect_move_message(session, uid_of(r->how), text, list);
    case 'q':
        run->utf8 = run->loose = 1;
        return imapconnect_enable(session, r->how % 2 != 0 ? "UTF8=ACCEPT" : text, list);
    case 'r':
        return imapconnect_copy_message(session, uid_of(r->how), text, list);
    case 's':
        return call_named(run, r, list);
    case 'u':
        run->loose = 1;
        return imapconnect_command(session, text, list);
    default:
        return call_bare(run, r, list);
    }
}

static int call(fuzz_run *run, const request *r, imapconnect_list *list)
{
    char name[2] = {r->which, '\0'};
    run->loose = 0;
    switch (r->which) {
    case 'c':
    case 'd':
        return call_messages(run, r, list);
    case 'g':
        return call_part(run, r, list);
    case 'h':
        return call_search(run, r, list);
    case 'i':
        return call_status(run, r, list);
    case 'j':
    case 'k':
        return call_select(run, r, list);
    case 'm':
        return call_idle(run, r, list);
    case 'n':
        return call_append(run, r, list);
    case 'p':
        return call_flags(run, r, list);
    default:
        return fuzz_result(run, name, call_simple(run, r, list));
    }
}

/* ---- a run ---- */

static void log_in(fuzz_run *run, imapconnect_list *list)
{
    int result = fuzz_connect(run, input.script.user, input.script.secret, IMAPCONNECT_INSECURE);
    run->utf8 = (input.begins & WITH_UTF8) != 0;
    if (result >= 0 && run->utf8)
        result = fuzz_result(run, "enable", imapconnect_enable(run->session, "UTF8=ACCEPT", list));
    if (result >= 0 && (input.begins & WITH_MAILBOX))
        result = fuzz_result(run, "select", imapconnect_select_mailbox(run->session, "INBOX", 0, list));
    fuzz_require(run, result >= 0 || run->over, "the login fails");
}

static void replay(fuzz_run *run, const fuzz_way *way)
{
    imapconnect_config config;
    imapconnect_list *list = input.begins & WITHOUT_LIST ? 0 : &run->list;
    size_t i;
    fuzz_begin(run, &input.script, way);
    fuzz_config(run, &config);
    config.max_reply = input.begins & WITH_LIMIT ? 300 : 0;
    config.idle_renew = input.begins & WITH_LIMIT ? 700 : 0;
    (void)imapconnect_init(run->session, &config);
    log_in(run, list);
    for (i = 0; input.calls[i] != '\0' && !run->over; i += 3) {
        request r;
        int result;
        r.which = input.calls[i];
        r.argument = (uint8_t)(input.calls[i + 1] - 'A');
        r.how = input.calls[i + 1] == '\0' ? 0 : (uint8_t)(input.calls[i + 2] - 'A');
        run->told.count = 0;
        result = call(run, &r, list);
        check_rows(run, &r, result);
        if (input.calls[i + 1] == '\0' || input.calls[i + 2] == '\0')
            break;
    }
    if (!run->over)
        (void)fuzz_result(run, "disconnect", imapconnect_disconnect(run->session, list));
    if (way == fuzz_ways)
        check_names(run);
    fuzz_finish(run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t i;
    read_input(data, size);
    for (i = 0; i < FUZZ_WAYS; i++)
        replay(&fuzz_runs[i], &fuzz_ways[i]);
    fuzz_compare();
    free(input.first);
    free(input.second);
    return 0;
}
