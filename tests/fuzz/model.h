/* model.h: what the rows of a reply must be, read from the whole of it in the simplest way: a response is taken apart
   into a list of tokens, and a row is what stands in them. fuzz_rows.c compares when a call has ended well. The model is
   generous with spaces, and knows nothing of pieces, limits or errors. Behind fuzz.h. */

#ifndef FUZZ_MODEL_H
#define FUZZ_MODEL_H

#define MODEL_TOKENS 600

#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)

typedef struct model_token {
    char kind; /* 'a' an atom, 's' a string, '(' or ')' */
    size_t at; /* its bytes, in `bytes` of the model */
    size_t count;
} model_token;

typedef struct model {
    model_token tokens[MODEL_TOKENS];
    size_t count;
    fuzz_text bytes;
    fuzz_text rows; /* the result */
    int unsure;     /* it holds what the model does not know */
} model;

/* What was asked for. */
typedef struct model_request {
    const char *reads; /* the name of the responses: "LIST" */
    int by_uid;
    uint32_t first, last;
} model_request;

/* ---- tokens ---- */

static void model_add(model *m, char kind, const char *bytes, size_t count)
{
    model_token *token = &m->tokens[m->count];
    if (m->count == MODEL_TOKENS) {
        m->unsure = 1;
        return;
    }
    token->kind = kind;
    token->at = m->bytes.count;
    token->count = count;
    fuzz_add(&m->bytes, bytes, count);
    m->count++;
}

/* A quoted string, from behind its quote; returns what is behind its end. */
static size_t model_quoted(model *m, const char *bytes, size_t at, size_t end)
{
    size_t start = m->bytes.count;
    model_add(m, 's', "", 0);
    for (; at < end && bytes[at] != '"'; at++) {
        at += bytes[at] == '\\' && at + 1 < end;
        fuzz_add(&m->bytes, bytes + at, 1);
    }
    if (!m->unsure)
        m->tokens[m->count - 1].count = m->bytes.count - start;
    return at + 1;
}

/* Is there `{n}` and CRLF? Returns what is behind it, or 0. */
static size_t model_header(const char *bytes, size_t at, size_t end)
{
    size_t digits = 0;
    while (at + 1 + digits < end && bytes[at + 1 + digits] >= '0' && bytes[at + 1 + digits] <= '9')
        digits++;
    at += 1 + digits;
    return digits > 0 && end - at >= 3 && memcmp(bytes + at, "}\r\n", 3) == 0 ? at + 3 : 0;
}

/* A literal, from its brace; elsewhere a brace means nothing. */
static size_t model_literal(model *m, const char *bytes, size_t at, size_t end)
{
    size_t behind = model_header(bytes, at, end);
    unsigned long long size = strtoull(bytes + at + 1, 0, 10);
    if (behind == 0) {
        model_add(m, 'a', bytes + at, 1);
        return at + 1;
    }
    if (size > end - behind) {
        m->unsure = 1;
        return end;
    }
    model_add(m, 's', bytes + behind, (size_t)size);
    return behind + (size_t)size;
}

/* An atom; in FETCH it may have a section in brackets. */
static size_t model_atom(model *m, const char *bytes, size_t at, size_t end, int sections)
{
    size_t start = at;
    int inside = 0;
    while (at < end && bytes[at] != '\r' && (inside || strchr(" (){\"", bytes[at]) == 0)) {
        inside = sections && (bytes[at] == '[' || (inside && bytes[at] != ']'));
        at++;
    }
    model_add(m, 'a', bytes + start, at - start);
    return at == start ? end : at;
}

/* One of the words in front, which end at a space and nowhere else. */
static size_t model_word(model *m, const char *bytes, size_t at, size_t end)
{
    size_t start = at;
    while (at < end && bytes[at] != ' ' && bytes[at] != '\r')
        at++;
    model_add(m, 'a', bytes + start, at - start);
    return at;
}

/* How many words stand in front: "*", perhaps a number, and the name. */
static size_t model_words(const model *m)
{
    const model_token *second = &m->tokens[1];
    return m->count > 1 && m->bytes.bytes[second->at] >= '0' && m->bytes.bytes[second->at] <= '9' ? 3 : 2;
}

/* Text for people, in which quotes and braces mean nothing; and the replies to us. */
static int model_is_text(const char *bytes, size_t at, size_t end)
{
    static const char *const words[] = {"* OK", "* NO", "* BAD", "* BYE", "* PREAUTH"};
    size_t i;
    for (i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t count = strlen(words[i]);
        if (fuzz_begins(bytes + at, end - at, words[i]) &&
            (at + count == end || bytes[at + count] == ' ' || bytes[at + count] == '\r'))
            return 1;
    }
    return bytes[at] != '*';
}

/* May the next atom have a section in brackets? Only the name of an item in FETCH may: every other value in the outer
   parentheses. */
static int model_is_item(const model *m)
{
    size_t token, depth = 0, values = 0;
    if (m->count < 4 || model_words(m) != 3 ||
        !fuzz_begins(m->bytes.bytes + m->tokens[2].at, m->tokens[2].count, "FETCH"))
        return 0;
    for (token = 3; token < m->count; token++) {
        char kind = m->tokens[token].kind;
        depth -= kind == ')' && depth > 0;
        values += kind != '(' && depth == 1;
        depth += kind == '(';
    }
    return depth == 1 && values % 2 == 0;
}

/* One response, up to behind its CRLF. */
static size_t model_line(model *m, const char *bytes, size_t at, size_t end)
{
    int text = model_is_text(bytes, at, end);
    m->count = 0;
    m->bytes.count = 0;
    while (at < end && bytes[at] != '\r') {
        char c = bytes[at];
        if (c == ' ' || text)
            at++;
        else if (m->count < model_words(m))
            at = model_word(m, bytes, at, end);
        else if (c == '(' || c == ')')
            model_add(m, c, bytes + at++, 1);
        else if (c == '"')
            at = model_quoted(m, bytes, at + 1, end);
        else if (c == '{')
            at = model_literal(m, bytes, at, end);
        else
            at = model_atom(m, bytes, at, end, model_is_item(m));
    }
    return at + 2;
}

static int model_is(const model *m, size_t token, const char *word)
{
    const model_token *t = &m->tokens[token];
    return token < m->count && t->kind != '(' && t->kind != ')' && t->count == strlen(word) &&
           fuzz_begins(m->bytes.bytes + t->at, t->count, word);
}

static unsigned long model_number(const model *m, size_t token)
{
    char digits[12] = {0};
    size_t count = m->tokens[token].count;
    memcpy(digits, m->bytes.bytes + m->tokens[token].at, count < 11 ? count : 11);
    return strtoul(digits, 0, 10);
}

/* The token behind a value: a list is skipped whole. */
static size_t model_behind(const model *m, size_t token)
{
    size_t depth = 0;
    do {
        if (token >= m->count)
            return m->count;
        depth += m->tokens[token].kind == '(';
        depth -= m->tokens[token].kind == ')' && depth > 0;
        token++;
    } while (depth > 0);
    return token;
}

/* Is a word in the list that begins at a token? */
static int model_lists(const model *m, size_t token, const char *word)
{
    size_t end = model_behind(m, token), depth = 0;
    for (; token < end; token++) {
        depth += m->tokens[token].kind == '(';
        depth -= m->tokens[token].kind == ')';
        if (depth == 1 && model_is(m, token, word))
            return 1;
    }
    return 0;
}

/* ---- rows ---- */

/* `* LIST (attributes) separator name` */
static void model_mailbox(model *m)
{
    size_t separator = model_behind(m, 2), name = model_behind(m, separator);
    int children = model_lists(m, 2, "\\HasChildren") - 2 * model_lists(m, 2, "\\HasNoChildren");
    if (name >= m->count || m->tokens[name].kind == '(') {
        fuzz_say(&m->rows, "a row without its name\n");
        return;
    }
    m->unsure |= children == -1; /* both: the last one counts */
    fuzz_say(&m->rows, "mailbox %d %d %d %d %d %d ",
             m->tokens[separator].kind == 's' ? m->bytes.bytes[m->tokens[separator].at] : 0,
             children == 0 ? -1 : children == 1, model_lists(m, 2, "\\Noinferiors"),
             model_lists(m, 2, "\\Noselect") || model_lists(m, 2, "\\NonExistent"), model_lists(m, 2, "\\Marked"),
             model_lists(m, 2, "\\Unmarked"));
    fuzz_add(&m->rows, m->bytes.bytes + m->tokens[name].at, m->tokens[name].count);
    fuzz_add(&m->rows, "\n", 1);
}

/* Three times NIL, or `((prefix separator ...) ...)`. */
static void model_namespaces(model *m)
{
    size_t token = 2, row, kind;
    for (kind = 0; kind < 3 && token < m->count; kind++, token = model_behind(m, token)) {
        size_t end = model_behind(m, token);
        if (m->tokens[token].kind != '(')
            continue;
        for (row = token + 1; row + 3 < end; row = model_behind(m, row)) {
            const model_token *prefix = &m->tokens[row + 1], *separator = prefix + 1;
            if (prefix->kind == '(' || prefix->kind == ')') {
                fuzz_say(&m->rows, "a row without its name\n");
                return;
            }
            fuzz_say(&m->rows, "namespace %d %d ", separator->kind == 's' ? m->bytes.bytes[separator->at] : 0,
                     (int)kind);
            fuzz_add(&m->rows, m->bytes.bytes + prefix->at, prefix->count);
            fuzz_add(&m->rows, "\n", 1);
        }
    }
}

static void model_flags(model *m, size_t token)
{
    static const char *const names[] = {"\\Answered", "\\Deleted", "\\Draft", "\\Flagged",
                                        "\\Recent",   "\\Seen",    "\\*"};
    size_t i;
    for (i = 0; i < 7; i++)
        fuzz_say(&m->rows, "%d", model_lists(m, token, names[i]));
    fuzz_say(&m->rows, "\n");
}

/* `* number FETCH (key value ...)`. A row has a size or a date; with neither it is news. */
static void model_message(model *m, const model_request *r)
{
    static const char *const names[] = {"UID", "RFC822.SIZE", "INTERNALDATE", "FLAGS"};
    static const char kinds[] = "aas(";
    size_t found[4] = {0}, token, i;
    unsigned long number = model_number(m, 1), uid;
    for (token = 4; token < m->count && m->tokens[token].kind != ')'; token = model_behind(m, token + 1)) {
        m->unsure |= m->tokens[token].kind != 'a';
        for (i = 0; i < 4; i++) {
            if (!model_is(m, token, names[i]) || token + 1 >= m->count || m->tokens[token + 1].kind != kinds[i])
                continue;
            found[i] = token + 1; /* what is said twice counts as it was said last */
        }
    }
    if (found[1] == 0 && found[2] == 0)
        return;
    if (found[0] == 0 || found[1] == 0 || found[2] == 0 || found[3] == 0) {
        fuzz_say(&m->rows, "a row without all its columns\n");
        return;
    }
    uid = model_number(m, found[0]);
    if ((r->by_uid ? uid : number) < r->first || (r->last != 0 && (r->by_uid ? uid : number) > r->last))
        return;
    fuzz_say(&m->rows, "message %lu %lu %lu ", number, uid, model_number(m, found[1]));
    fuzz_add(&m->rows, m->bytes.bytes + m->tokens[found[2]].at, m->tokens[found[2]].count);
    fuzz_say(&m->rows, " ");
    model_flags(m, found[3]);
}

/* The body in `* number FETCH (... BODY[...] value ...)` */
static void model_body(model *m)
{
    size_t token;
    for (token = 4; token + 1 < m->count && m->tokens[token].kind != ')'; token = model_behind(m, token + 1)) {
        const model_token *key = &m->tokens[token], *value = key + 1;
        m->unsure |= key->kind != 'a';
        if (key->kind != 'a' || key->count < 5 || !fuzz_begins(m->bytes.bytes + key->at, 5, "BODY["))
            continue;
        if (value->kind == 's')
            fuzz_add(&m->rows, m->bytes.bytes + value->at, value->count);
    }
}

/* `* SEARCH number ...`; what stands in parentheses is none. */
static void model_search(model *m)
{
    size_t token;
    for (token = 2; token < m->count; token = model_behind(m, token))
        if (m->tokens[token].kind == 'a')
            fuzz_say(&m->rows, "uid %lu\n", model_number(m, token));
}

/* `* STATUS name (word number ...)`: what is said twice counts as it was said last. */
static void model_status(model *m, uint32_t *numbers)
{
    static const char *const words[] = {"MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN"};
    size_t token, i;
    for (token = model_behind(m, 2) + 1; token + 1 < m->count; token = model_behind(m, token + 1)) {
        m->unsure |= m->tokens[token].kind != 'a';
        for (i = 0; i < 5; i++)
            if (model_is(m, token, words[i]) && m->tokens[token + 1].kind == 'a')
                numbers[i] = (uint32_t)model_number(m, token + 1);
    }
}

/* What SELECT says in numbers: `* 5 EXISTS`, and `* OK [UIDNEXT 7]`. */
static void model_select(model *m, const char *bytes, size_t at, size_t end, uint32_t *numbers)
{
    static const char *const words[] = {"* OK [UIDNEXT ", "* OK [UIDVALIDITY ", "* OK [UNSEEN "};
    size_t i, digits;
    int numbered = m->count > 2 && m->bytes.bytes[m->tokens[1].at] >= '0' && m->bytes.bytes[m->tokens[1].at] <= '9';
    if (numbered && model_is(m, 2, "EXISTS"))
        numbers[0] = (uint32_t)model_number(m, 1);
    if (numbered && model_is(m, 2, "RECENT"))
        numbers[1] = (uint32_t)model_number(m, 1);
    if (numbered && model_is(m, 2, "EXPUNGE") && numbers[0] != 0 && numbers[0] != 0xffffffff)
        numbers[0]--;
    for (i = 0; i < 3; i++) {
        const char *number = bytes + at + strlen(words[i]);
        if (!fuzz_begins(bytes + at, end - at, words[i]))
            continue;
        for (digits = 0; number[digits] >= '0' && number[digits] <= '9';)
            digits++;
        if (number[digits] == ']' && digits > 0 && digits <= 10 && strtoull(number, 0, 10) <= 0xffffffff)
            numbers[2 + i] = (uint32_t)strtoull(number, 0, 10);
    }
}

/* What STATUS or SELECT brings. */
static void model_read_numbers(model *m, int status, const char *bytes, size_t at, size_t end)
{
    uint32_t numbers[5] = {0, 0, 0, 0, 0};
    m->rows.count = 0;
    m->unsure = 0;
    while (at < end && !m->unsure) {
        size_t next = model_line(m, bytes, at, end);
        if (!status)
            model_select(m, bytes, at, next < end ? next : end, numbers);
        else if (m->count > 2 && model_is(m, 0, "*") && model_is(m, 1, "STATUS"))
            model_status(m, numbers);
        at = next;
    }
    fuzz_say(&m->rows, "%u %u %u %u %u\n", (unsigned)numbers[0], (unsigned)numbers[1], (unsigned)numbers[2],
             (unsigned)numbers[3], (unsigned)numbers[4]);
}

/* What a call brings, from its reply: the lines from `at` to `end`. */
static void model_read(model *m, const model_request *r, const char *bytes, size_t at, size_t end)
{
    int fetch = strcmp(r->reads, "FETCH") == 0 || strcmp(r->reads, "BODY") == 0;
    m->rows.count = 0;
    m->unsure = 0;
    while (at < end && !m->unsure) {
        at = model_line(m, bytes, at, end);
        if (m->unsure || m->count < 2 || !model_is(m, 0, "*"))
            continue;
        if (!model_is(m, fetch ? 2 : 1, fetch ? "FETCH" : r->reads) || (fetch && model_words(m) != 3))
            continue;
        if (strcmp(r->reads, "FETCH") == 0)
            model_message(m, r);
        else if (fetch)
            model_body(m);
        else if (strcmp(r->reads, "SEARCH") == 0)
            model_search(m);
        else if (strcmp(r->reads, "NAMESPACE") == 0)
            model_namespaces(m);
        else
            model_mailbox(m);
    }
}

#pragma clang attribute pop

#endif
