/* mutate.c: what can be broken in a room of imapconnect.h. mutate.sh compiles it.

       mutate list HEADER ROOM            one line for each mutant: NUMBER|WHEN|FUNCTION|BEFORE ~> AFTER
       mutate one HEADER ROOM NUMBER      the header with that one
       mutate all HEADER ROOM [DROPPED]   the header with all of them but those whose numbers are in the file DROPPED.
                                          The environment variable MUTANT chooses one when the program runs

   A mutant has one operator, number, character, string or named constant changed, a condition negated, one part of a
   condition taken out, another value returned, or a statement left out. WHEN is `run` when the program can choose it as
   it runs, and `compile` when it cannot: in macros, and in tables inside of functions. Of a table in which a row is left
   out the last row stands there twice.

   It reads tokens, and relies on what clang-format sees to: the brace of a function stands alone in its line, and
   binary operators have a space on both sides. */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TOKENS  200000
#define MAX_MUTANTS 20000
#define MAX_TEXT    4000

enum kind { NAME, NUMBER, CHARACTER, STRING, MARK, DIRECTIVE };

typedef struct token {
    enum kind kind;
    const char *at;
    int length;
    int room; /* this one is in the room that was asked for */
} token;

/* Of the tokens from `first` to `last`, those from `from` to `to` become `by`. */
typedef struct mutant {
    int first, last, from, to;
    int number;
    char by[MAX_TEXT];
} mutant;

enum action { LIST, ONE, ALL };

static char *source;
static token tokens[MAX_TOKENS];
static int token_count;
static enum action action;
static int wanted, numbers;
static char dropped[MAX_MUTANTS];
static const char *written; /* of the source, what comes before this is on standard output */
static char function[256];

/* ---- tokens ---------------------------------------------------------------------------------------- */

static void die(const char *why)
{
    fprintf(stderr, "mutate: %s\n", why);
    exit(2);
}

static const char *end_of_directive(const char *at)
{
    while (*at && *at != '\n')
        at += *at == '\\' && at[1] == '\n' ? 2 : 1;
    return at;
}

static const char *end_of_quoted(const char *at)
{
    char quote = *at++;

    while (*at != quote)
        at += *at == '\\' ? 2 : 1;
    return at + 1;
}

static const char *end_of_mark(const char *at)
{
    static const char *const marks[] = {"<<=", ">>=", "...", "->", "++", "--", "<<", ">>", "<=", ">=", "==",
                                        "!=",  "&&",  "||",  "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^="};

    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (strncmp(at, marks[i], strlen(marks[i])) == 0)
            return at + strlen(marks[i]);
    return at + 1;
}

static const char *end_of_token(const char *at, enum kind *kind)
{
    *kind = MARK;
    if (*at == '#') {
        *kind = DIRECTIVE;
        return end_of_directive(at);
    }
    if (*at == '"' || *at == '\'') {
        *kind = *at == '"' ? STRING : CHARACTER;
        return end_of_quoted(at);
    }
    if (!isalnum((unsigned char)*at) && *at != '_')
        return end_of_mark(at);
    *kind = isdigit((unsigned char)*at) ? NUMBER : NAME;
    while (isalnum((unsigned char)*at) || *at == '_')
        at++;
    return at;
}

static void tokenize(const char *room)
{
    const char *at = source;
    size_t name = strlen(room);
    int inside = 0;

    while (*at) {
        token *t = &tokens[token_count];
        const char *end;

        if (strncmp(at, "/* >>", 5) == 0 && strstr(at, " ---") == strpbrk(at + 5, " \n"))
            inside = strncmp(at + 5, room, name) == 0 && at[5 + name] == ' ';
        if (strncmp(at, "/*", 2) == 0) {
            at = strstr(at, "*/") + 2;
            continue;
        }
        if (isspace((unsigned char)*at)) {
            at++;
            continue;
        }
        end = end_of_token(at, &t->kind);
        t->at = at;
        t->length = (int)(end - at);
        t->room = inside;
        at = end;
        if (++token_count == MAX_TOKENS)
            die("too many tokens");
    }
}

static int is(int i, const char *text)
{
    return i < token_count && tokens[i].length == (int)strlen(text) && strncmp(tokens[i].at, text, strlen(text)) == 0;
}

static int is_one_of(int i, const char *const *texts, size_t count)
{
    for (size_t k = 0; k < count; k++)
        if (is(i, texts[k]))
            return 1;
    return 0;
}
#define ONE_OF(i, texts) is_one_of(i, texts, sizeof(texts) / sizeof((texts)[0]))

/* The one behind token `i`, where directives are none. */
static int next_of(int i)
{
    do
        i++;
    while (i < token_count && tokens[i].kind == DIRECTIVE);
    return i;
}

static int opens(int i)
{
    return is(i, "(") || is(i, "[") || is(i, "{");
}

static int closes(int i)
{
    return is(i, ")") || is(i, "]") || is(i, "}");
}

/* The bracket that closes the one at `i`. */
static int partner(int i)
{
    int depth = 0;

    for (;; i++) {
        depth += opens(i) - closes(i);
        if (depth == 0)
            return i;
        if (i == token_count)
            die("a bracket is not closed");
    }
}

/* The first of these characters behind `i`, outside of brackets. */
static int find_mark(int i, const char *marks)
{
    for (;; i++) {
        if (tokens[i].kind == MARK && tokens[i].length == 1 && strchr(marks, *tokens[i].at))
            return i;
        if (opens(i))
            i = partner(i);
        if (i >= token_count)
            die("a statement does not end");
    }
}

/* ---- texts ----------------------------------------------------------------------------------------- */

/* Appends the tokens in one line, with the spaces that they have. */
static void append_tokens(char *text, int first, int last)
{
    for (int i = first; i <= last; i++) {
        const token *t = &tokens[i];

        if (strlen(text) + (size_t)t->length + 2 > MAX_TEXT)
            die("a statement is too long");
        if (*text && i > first && t->at > tokens[i - 1].at + tokens[i - 1].length)
            strcat(text, " ");
        strncat(text, t->at, (size_t)t->length);
    }
}

/* What a mutant makes of its tokens. */
static void append_changed(char *text, const mutant *m)
{
    if (m->from > m->first) {
        append_tokens(text, m->first, m->from - 1);
        if (tokens[m->from].at > tokens[m->from - 1].at + tokens[m->from - 1].length)
            strcat(text, " ");
    }
    if (strlen(text) + strlen(m->by) + 2 > MAX_TEXT)
        die("a statement is too long");
    strcat(text, m->by);
    if (m->to < m->last) {
        if (*m->by && tokens[m->to + 1].at > tokens[m->to].at + tokens[m->to].length)
            strcat(text, " ");
        append_tokens(text, m->to + 1, m->last);
    }
}

static void write_source(const char *to)
{
    if (action != LIST)
        fwrite(written, 1, (size_t)(to - written), stdout);
    written = to;
}

static void write_up_to(int i)
{
    write_source(tokens[i].at);
}

static void skip_behind(int i)
{
    written = tokens[i].at + tokens[i].length;
}

/* ---- the mutants of an expression ------------------------------------------------------------------ */

static mutant found[400];
static int found_count;

static void add(int from, int to, const char *by)
{
    mutant *m = &found[found_count];

    if (found_count == 400)
        die("too many mutants in one expression");
    m->from = from;
    m->to = to;
    snprintf(m->by, MAX_TEXT, "%s", by);
    found_count++;
}

/* `before`, the tokens, `after`. */
static void add_around(int from, int to, const char *before, const char *after)
{
    char text[MAX_TEXT] = "";

    strcpy(text, before);
    append_tokens(text, from, to);
    strcat(text, after);
    add(from, to, text);
}

static void add_operator(int i)
{
    static const char *const pairs[][2] = {{"==", "!="}, {"!=", "=="}, {"<", "<="},  {"<=", "<"},  {">", ">="},
                                           {">=", ">"},  {"&&", "||"}, {"||", "&&"}, {"+", "-"},   {"-", "+"},
                                           {"*", "+"},   {"/", "*"},   {"%", "/"},   {"&", "|"},   {"|", "&"},
                                           {"^", "|"},   {"<<", ">>"}, {">>", "<<"}, {"+=", "-="}, {"-=", "+="},
                                           {"|=", "="},  {"&=", "|="}, {"++", "--"}, {"--", "++"}};
    int unary = is(i, "++") || is(i, "--");

    if (is(i, "!"))
        add(i, i, "");
    if (!unary && !isspace((unsigned char)tokens[i].at[tokens[i].length]))
        return;
    for (size_t k = 0; k < sizeof pairs / sizeof pairs[0]; k++)
        if (is(i, pairs[k][0]))
            add(i, i, pairs[k][1]);
}

/* A 1 that is stored or returned alone means yes, and so does every other number but 0. */
static int means_yes(int i, int first, int last)
{
    return is(i, "1") && ((first == last && !is(i - 1, "(")) || is(i - 1, "="));
}

static void add_number(int i, int first, int last)
{
    if (is(i, "0") || is(i, "0u")) {
        add(i, i, "1");
        return;
    }
    if (!means_yes(i, first, last))
        add_around(i, i, "(", " + 1)");
    add_around(i, i, "(", " - 1)");
}

static void add_string(int i)
{
    char text[MAX_TEXT] = "";

    if (tokens[i].length == 2 || tokens[i].at[1] == '\\')
        return;
    append_tokens(text, i, i);
    text[1] = text[1] == '~' ? '_' : '~';
    add(i, i, text);
}

static int is_constant(int i)
{
    const token *t = &tokens[i];

    if (strncmp(t->at, "IMC_", 4) != 0 && strncmp(t->at, "IMAPCONNECT_", 12) != 0)
        return 0;
    for (int k = 0; k < t->length; k++)
        if (islower((unsigned char)t->at[k]))
            return 0;
    return !is(i + 1, "(");
}

static void add_token(int i, int first, int last)
{
    switch (tokens[i].kind) {
    case NUMBER:
        add_number(i, first, last);
        break;
    case CHARACTER:
        add_around(i, i, "(", " + 1)");
        break;
    case STRING:
        add_string(i);
        break;
    case MARK:
        add_operator(i);
        break;
    case NAME:
        if (is_constant(i))
            add_around(i, i, "(", " + 1)");
        break;
    default:
        break;
    }
}

/* The operand that ends before token `i`, or begins behind it: up to one of these, or a bracket. */
static int operand_end(int i, int step, int first, int last)
{
    static const char *const ends[] = {"&&", "||", "?", ":", ",", "=", "+=", "|=", "&=", "-="};

    for (i += step; i >= first && i <= last; i += step) {
        if (ONE_OF(i, ends))
            return i - step;
        if (step > 0 ? opens(i) : closes(i)) {
            int depth = 0;

            do {
                depth += opens(i) - closes(i);
                i += step;
            } while (depth != 0);
            i -= step;
        } else if (opens(i) || closes(i)) {
            return i - step;
        }
    }
    return i - step;
}

/* Each part of a condition taken out, and the condition before a question mark negated. */
static void add_parts(int i, int first, int last)
{
    int both = is(i, "&&"), from, to;

    if (is(i, "?")) {
        from = operand_end(i, -1, first, last);
        while (from > first && (is(from - 1, "&&") || is(from - 1, "||")))
            from = operand_end(from - 1, -1, first, last);
        add_around(from, i - 1, "!(", ")");
    }
    if (!both && !is(i, "||"))
        return;
    from = operand_end(i, -1, first, last);
    if (from == first || !is(from - 1, both ? "&&" : "||"))
        add(from, i - 1, both ? "1" : "0");
    to = operand_end(i, 1, first, last);
    add(i + 1, to, both ? "1" : "0");
}

static void find_mutants(int first, int last)
{
    for (int i = first; i <= last; i++) {
        add_token(i, first, last);
        add_parts(i, first, last);
    }
}

/* ---- writing --------------------------------------------------------------------------------------- */

static void list_one(const mutant *m, const char *when)
{
    char before[MAX_TEXT] = "", after[MAX_TEXT] = "";

    append_tokens(before, m->first, m->last);
    append_changed(after, m);
    printf("%d|%s|%s|%s ~> %s\n", m->number, when, function, before, *after ? after : ";");
}

/* Gives those that were found their numbers. */
static void number_all(int first, int last, const char *when)
{
    for (int i = 0; i < found_count; i++) {
        found[i].first = first;
        found[i].last = last;
        found[i].number = ++numbers;
        if (numbers == MAX_MUTANTS)
            die("too many mutants");
        if (action == LIST)
            list_one(&found[i], when);
    }
}

/* All that were found, one in a line, so that the line of an error says which it is. */
static void write_choices(int first, int last)
{
    char original[MAX_TEXT] = "";

    append_tokens(original, first, last);
    printf("(IMC_MUTANT_AT(%d, %d) ? (", found[0].number, found[found_count - 1].number);
    for (int i = 0; i < found_count; i++) {
        char text[MAX_TEXT] = "";

        if (dropped[found[i].number])
            continue;
        append_changed(text, &found[i]);
        printf("\n/*@%d*/ imc_mutant == %d ? (%s) :", found[i].number, found[i].number, text);
    }
    printf("\n(%s)) : (", original);
    write_source(tokens[last].at + tokens[last].length);
    printf("))");
}

static void write_mutants(int first, int last)
{
    for (int i = 0; i < found_count; i++)
        if (action == ONE && found[i].number == wanted) {
            char text[MAX_TEXT] = "";

            write_up_to(first);
            append_changed(text, &found[i]);
            printf("%s", text);
            skip_behind(last);
        }
    if (action == ALL && found_count > 0) {
        write_up_to(first);
        write_choices(first, last);
    }
}

static int has_directive(int first, int last)
{
    for (int i = first; i <= last; i++)
        if (tokens[i].kind == DIRECTIVE)
            return 1;
    return 0;
}

enum role { VALUE, CONDITION, RETURNED };

static void mutate_expression(int first, int last, enum role role)
{
    if (last < first || !tokens[first].room || has_directive(first, last))
        return;
    found_count = 0;
    find_mutants(first, last);
    if (role == CONDITION)
        add_around(first, last, "!(", ")");
    if (role == RETURNED && (first < last || tokens[first].kind == NAME))
        add(first, last, "0");
    number_all(first, last, "run");
    write_mutants(first, last);
}

/* (void)name; does nothing. */
static int does_something(int first, int last)
{
    return !is(first, "(") || !is(first + 1, "void") || last - first > 4;
}

/* Leaves a statement out; what is in it may have mutants of its own. */
static void leave_out(int first, int last)
{
    static mutant m;

    if (!tokens[first].room || !does_something(first, last) || has_directive(first, last))
        return;
    m.first = m.from = first;
    m.last = m.to = last;
    m.number = ++numbers;
    strcpy(m.by, ";");
    if (action == LIST)
        list_one(&m, "run");
    if (action == ONE && m.number == wanted) {
        write_up_to(first);
        printf(";");
        skip_behind(last);
    }
    if (action == ALL) {
        write_up_to(first);
        printf("{ if (!(IMC_MUTANT_AT(%d, %d))) ", m.number, m.number);
    }
}

static void end_of_leave_out(int first, int last)
{
    if (action == ALL && tokens[last].room && does_something(first, last) && !has_directive(first, last)) {
        write_source(tokens[last].at + tokens[last].length);
        printf(" }");
    }
}

/* ---- tables and macros ----------------------------------------------------------------------------- */

/* A table: the program changes it as it begins, when it has an order to. `name` is empty for one in a function, which
   nobody can reach from outside. */
typedef struct table {
    const char *name;
    int first, last; /* its braces */
    int is_array;
} table;

/* "NAME[INDEX]", or the whole of a table that is no array; `text` is what becomes of it. */
static void write_patch(const table *t, const mutant *m, int first, int last, int index)
{
    char from[MAX_TEXT] = "", to[MAX_TEXT] = "";
    mutant in_row = *m;

    in_row.first = first;
    in_row.last = last;
    append_tokens(from, first, last);
    if (m->from >= first && m->to <= last)
        append_changed(to, &in_row);
    printf("/*@%d*/ if (imc_mutant == %d) { ", m->number, m->number);
    if (!t->is_array)
        printf("static __typeof__(%s) to = %s; memcpy(&%s, &to, sizeof to);", t->name, to, t->name);
    else if (index >= 0)
        printf("static __typeof__(%s[0]) to = %s; memcpy(&%s[%d], &to, sizeof to);", t->name, to, t->name, index);
    else if (m->last > last || m->from == first)
        printf("static __typeof__(%s[0]) from = %s; imc_mutant_leave_out(%s, sizeof %s, &from, sizeof from);",
               t->name, from, t->name, t->name);
    else
        printf("static __typeof__(%s[0]) from = %s, to = %s; imc_mutant_patch(%s, sizeof %s, &from, &to, sizeof to);",
               t->name, from, to, t->name, t->name);
    printf(" }\n");
}

/* What was found in the row from `first` to `last`, or with the comma behind it. */
static void end_row(const table *t, int first, int last, int comma, int index)
{
    int runs = *t->name && !has_directive(first, last) && (index != -2);

    number_all(first, last + comma, runs ? "run" : "compile");
    if (action == ONE)
        write_mutants(first, last + comma);
    for (int i = 0; action == ALL && runs && i < found_count; i++)
        if (!dropped[found[i].number])
            write_patch(t, &found[i], first, last, index);
    found_count = 0;
}

/* A row in braces: left out, and each constant in it. */
static int mutate_row(const table *t, int first, int is_whole)
{
    int last = partner(first), comma = is(last + 1, ",");

    found_count = 0;
    if (!is_whole) {
        add(first, last + comma, "");
        end_row(t, first, last, comma, -1);
    }
    for (int i = first; i <= last; i++)
        if (tokens[i].kind != MARK)
            add_token(i, i, last);
    end_row(t, first, last, 0, -1);
    return last;
}

/* What stands between the braces of a table. A number alone has an index, unless a directive makes it unknown: -2. */
static void mutate_table(const table *t)
{
    int index = has_directive(t->first, t->last) ? -2 : 0;

    if (!t->is_array) {
        mutate_row(t, t->first, 1);
        return;
    }
    for (int i = t->first + 1; i < t->last; i++) {
        if (is(i, "{")) {
            i = mutate_row(t, i, 0);
        } else if (is(i, ",")) {
            index += index >= 0;
        } else if (tokens[i].kind == DIRECTIVE) {
            if (action == ALL) /* rows that are not there cannot be changed */
                printf("%.*s\n", tokens[i].length, tokens[i].at);
        } else {
            int end = i;

            while (end + 1 < t->last && !is(end + 1, ","))
                end++;
            found_count = 0;
            for (int k = i; k <= end; k++)
                if (tokens[k].kind != MARK)
                    add_token(k, k, end);
            end_row(t, i, end, 0, index);
            i = end;
        }
    }
}

/* #define NAME NUMBER */
static void mutate_macro(int i)
{
    char text[MAX_TEXT], name[200], value[200], rest[MAX_TEXT];

    if (!tokens[i].room || tokens[i].length >= MAX_TEXT)
        return;
    snprintf(text, sizeof text, "%.*s", tokens[i].length, tokens[i].at);
    *rest = '\0';
    if (sscanf(text, "#define %199[A-Z0-9_] %199[0-9a-fxu] %3999[^\n]", name, value, rest) < 2 ||
        !isdigit((unsigned char)*value) || (*rest && strncmp(rest, "/*", 2) != 0))
        return;
    found_count = 0;
    snprintf(text, sizeof text, "#define %s (%s + 1)", name, value);
    add(i, i, text);
    snprintf(text, sizeof text, "#define %s (%s - 1)", name, value);
    add(i, i, text);
    snprintf(function, sizeof function, "%s", name);
    number_all(i, i, "compile");
    if (action == ONE)
        write_mutants(i, i);
}

/* ---- statements ------------------------------------------------------------------------------------ */

static int statement(int i);

static int block(int i)
{
    int end = partner(i);

    for (i = next_of(i); i < end;)
        i = statement(i);
    return next_of(end);
}

static int begins_declaration(int i)
{
    static const char *const types[] = {"static", "const", "struct", "enum",  "unsigned",
                                        "int",    "char",  "size_t", "short", "long"};

    if (ONE_OF(i, types))
        return 1;
    if (tokens[i].kind != NAME)
        return 0;
    if (tokens[i + 1].kind == NAME)
        return 1;
    while (is(i + 1, "*"))
        i++;
    return i > 0 && is(i, "*") && tokens[i + 1].kind == NAME && !isspace((unsigned char)tokens[i].at[1]);
}

static int declaration(int i)
{
    int end = find_mark(i, ";"), fixed = is(i, "static");

    for (int at = i; at < end; at++) {
        int to;

        if (opens(at)) {
            at = partner(at);
            continue;
        }
        if (!is(at, "="))
            continue;
        to = find_mark(at + 1, ",;") - 1;
        if (fixed && tokens[i].room) {
            table t = {"", at + 1, to, is(at - 1, "]")};

            if (is(at + 1, "{"))
                mutate_table(&t);
        } else if (!is(at + 1, "{"))
            mutate_expression(at + 1, to, VALUE);
        at = to;
    }
    return next_of(end);
}

/* `if`, `while` and `switch`, up to behind the parenthesis. */
static int head(int i, enum role role)
{
    int open = next_of(i), close = partner(open);

    mutate_expression(open + 1, close - 1, role);
    return next_of(close);
}

static int for_head(int i)
{
    int open = next_of(i), close = partner(open);
    int first = find_mark(open + 1, ";"), second = find_mark(first + 1, ";");

    mutate_expression(open + 1, first - 1, VALUE);
    mutate_expression(first + 1, second - 1, CONDITION);
    mutate_expression(second + 1, close - 1, VALUE);
    return next_of(close);
}

static int do_while(int i)
{
    i = statement(next_of(i));
    return next_of(head(i, CONDITION));
}

static int if_else(int i)
{
    i = statement(head(i, CONDITION));
    return is(i, "else") ? statement(next_of(i)) : i;
}

static int simple(int i)
{
    static const char *const jumps[] = {"break", "continue"};
    int end = find_mark(i, ";");

    if (is(i, "return")) {
        if (end > i + 1)
            mutate_expression(i + 1, end - 1, RETURNED);
        else {
            leave_out(i, end);
            end_of_leave_out(i, end);
        }
    } else if (end > i) {
        leave_out(i, end);
        if (!ONE_OF(i, jumps))
            mutate_expression(i, end - 1, VALUE);
        end_of_leave_out(i, end);
    }
    return next_of(end);
}

static int statement(int i)
{
    if (is(i, "{"))
        return block(i);
    if (is(i, "if"))
        return if_else(i);
    if (is(i, "while"))
        return statement(head(i, CONDITION));
    if (is(i, "switch"))
        return statement(head(i, VALUE));
    if (is(i, "for"))
        return statement(for_head(i));
    if (is(i, "do"))
        return do_while(i);
    if (is(i, "case") || is(i, "default"))
        return next_of(find_mark(i, ":"));
    if (is(i, "return") || !begins_declaration(i))
        return simple(i);
    return declaration(i);
}

/* ---- the file -------------------------------------------------------------------------------------- */

static int stands_alone(int i)
{
    return is(i, "{") && tokens[i].at[-1] == '\n' && tokens[i].at[1] == '\n';
}

/* The name before the parenthesis that closes before token `i`. */
static void remember_function(int i)
{
    int depth = 0;

    while (i > 0 && (depth += closes(i - 1) - opens(i - 1)) > 0)
        i--;
    snprintf(function, sizeof function, "%.*s", tokens[i - 2].length, tokens[i - 2].at);
}

/* All mutants of a table: it is no constant then, and behind it stands what changes it. */
static void write_file_table(int i, int at, int end)
{
    table t = {function, at + 1, partner(at + 1), 0};
    int first = numbers + 1;

    for (int k = i; k < at; k++) {
        t.is_array |= is(k, "[");
        if (action == ALL && is(k, "const")) {
            write_up_to(k);
            skip_behind(k);
        }
    }
    if (action == ALL) {
        write_source(tokens[end].at + 1);
        printf("\nstatic __attribute__((constructor)) void imc_mutant_of_%s(void)\n{\n"
               "int imc_mutant = imc_mutant_order;\n",
               function);
    }
    mutate_table(&t);
    if (action == ALL)
        printf("if (imc_mutant_marks) (void)imc_mutant_mark(%d, %d);\n}\n", first, numbers);
}

/* A table: its name stands before the first bracket, or before the "=". */
static int file_table(int i, int end)
{
    int at = find_mark(i, "=;");

    if (at > end || !is(at, "=") || !is(at + 1, "{"))
        return end;
    for (int k = i; k < at; k++)
        if (tokens[k].kind == NAME && (is(k + 1, "[") || is(k + 1, "=")))
            snprintf(function, sizeof function, "%.*s", tokens[k].length, tokens[k].at);
    if (tokens[i].room)
        write_file_table(i, at, end);
    return end;
}

static void write_start(void)
{
    char *at = strstr(source, "/* >>bytes ---");

    if (action != ALL)
        return;
    write_source(at);
    printf(
        "#include <fcntl.h>\n#include <stdlib.h>\n#include <string.h>\n#include <sys/mman.h>\n#include <sys/time.h>\n"
        "static int imc_mutant;\nstatic char *imc_mutant_marks;\n"
        "static volatile int imc_mutant_order; /* clang runs constructors itself that read no such thing */\n"
        "static __attribute__((constructor)) void imc_mutant_start(void)\n{\n"
        "    const char *marks = getenv(\"MUTANT_MARKS\"), *limit = getenv(\"MUTANT_LIMIT\");\n"
        "    struct itimerval time = {{0, 0}, {0, 0}};\n"
        "    if (limit) {\n        time.it_value.tv_sec = atoi(limit) / 1000;\n"
        "        time.it_value.tv_usec = atoi(limit) %% 1000 * 1000;\n"
        "        setitimer(ITIMER_PROF, &time, 0);\n    }\n"
        "    if (getenv(\"MUTANT\"))\n        imc_mutant = imc_mutant_order = atoi(getenv(\"MUTANT\"));\n"
        "    if (marks)\n        imc_mutant_marks = (char *)mmap(0, %d, PROT_READ | PROT_WRITE, MAP_SHARED,"
        " open(marks, O_RDWR), 0);\n}\n"
        "static int imc_mutant_mark(int from, int to)\n{\n"
        "    for (; from <= to; from++)\n        imc_mutant_marks[from] = 'x';\n    return 0;\n}\n"
        "static void imc_mutant_patch(void *table, size_t size, const void *from, const void *to, size_t row)\n{\n"
        "    char *at = (char *)table, *end = at + size;\n"
        "    while (at < end && memcmp(at, from, row) != 0)\n        at += row;\n"
        "    if (at < end)\n        memcpy(at, to, row);\n}\n"
        "static void imc_mutant_leave_out(void *table, size_t size, const void *from, size_t row)\n{\n"
        "    char *at = (char *)table, *end = at + size;\n"
        "    while (at < end && memcmp(at, from, row) != 0)\n        at += row;\n"
        "    if (at + row < end)\n        memmove(at, at + row, (size_t)(end - at) - row);\n"
        "    else if (at < end)\n        memcpy(at, at - row, row);\n}\n"
        "#define IMC_MUTANT_AT(from, to) (imc_mutant_marks ? imc_mutant_mark(from, to) : "
        "imc_mutant >= from && imc_mutant <= to)\n",
        MAX_MUTANTS);
}

static void mutate_file(void)
{
    for (int i = 0; i < token_count; i++) {
        if (tokens[i].kind == DIRECTIVE) {
            mutate_macro(i);
        } else if (is(i, "static") && find_mark(i, "={;(") < token_count && is(find_mark(i, "=;("), "=")) {
            i = file_table(i, find_mark(i, ";"));
        } else if (stands_alone(i)) {
            int end = partner(i);

            remember_function(i);
            if (tokens[i].room)
                block(i);
            i = end;
        }
    }
    write_source(source + strlen(source));
}

static void read_source(const char *path)
{
    FILE *file = fopen(path, "r");
    size_t size = 4u << 20;

    source = calloc(1, size);
    if (!file || !source)
        die("the header cannot be read");
    (void)!fread(source, 1, size - 1, file);
    fclose(file);
    written = source;
}

static void read_dropped(const char *path)
{
    FILE *file = fopen(path, "r");
    int number;

    while (file && fscanf(file, "%d", &number) == 1)
        if (number > 0 && number < MAX_MUTANTS)
            dropped[number] = 1;
    if (file)
        fclose(file);
}

int main(int count, char **arguments)
{
    if (count < 4)
        die("list, one or all; HEADER; ROOM");
    action = strcmp(arguments[1], "list") == 0 ? LIST : strcmp(arguments[1], "one") == 0 ? ONE : ALL;
    read_source(arguments[2]);
    tokenize(arguments[3]);
    if (count > 4 && action == ONE)
        wanted = atoi(arguments[4]);
    if (count > 4 && action == ALL)
        read_dropped(arguments[4]);
    write_start();
    mutate_file();
    return 0;
}
