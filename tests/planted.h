/* planted.h: bugs, planted. No program includes this.

   analyze.sh puts it behind a copy of imapconnect.h and looks at both in one go: a tool that does not report the lines
   which are marked with its name has not come through the header either, and its silence is worth nothing. With
   PLANTED_MAIN it is a program, for the tools that watch one run: its argument says which of the bugs is to happen. */

#ifndef PLANTED_H
#define PLANTED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct planted {
    int value;
    char text[8];
} planted;

int planted_null(int count);
int planted_uninitialised(int count);
int planted_freed(void);
int planted_leak(const char *from, size_t size);
int planted_twice(const char *name);
char planted_outside(int at);
void planted_memset(planted *one);
int planted_deep(int depth);
int planted_shift(int value);
int planted_same(int a, int b);
void planted_dead(int value);
int planted_number(const char *text);
void planted_copy(char *to, const char *from);

int planted_null(int count)
{
    int *value = 0;
    if (count > 3)
        value = &count;
    return *value; /* gcc gcc-O2 clang tidy cppcheck */
}

int planted_uninitialised(int count)
{
    int value;
    if (count > 3)
        value = count;
    if (value > 7) /* gcc clang tidy cppcheck */
        return 1;
    return 0;
}

int planted_freed(void)
{
    int result;
    int *value = (int *)malloc(sizeof *value);
    if (value == 0)
        return 0;
    *value = 1;
    free(value);
    result = *value; /* gcc clang tidy cppcheck */
    return result;
}

int planted_leak(const char *from, size_t size)
{
    char *bytes = (char *)malloc(size);
    memcpy(bytes, from, size); /* gcc gcc-O2 */
    return bytes[size - 1];    /* gcc gcc-O2 clang tidy cppcheck */
}

int planted_twice(const char *name)
{
    FILE *file = fopen(name, "r");
    if (file == 0)
        return 1;
    fclose(file);
    return fclose(file); /* gcc gcc-O2 */
}

char planted_outside(int at)
{
    char bytes[4] = {1, 2, 3, 4};
    if (at == 4)
        return bytes[at]; /* clang tidy cppcheck */
    return bytes[0];
}

void planted_memset(planted *one)
{
    memset(one, sizeof *one, 0); /* tidy cppcheck */
}

int planted_deep(int depth) /* tidy */
{
    return depth == 0 ? 0 : planted_deep(depth - 1) + 1;
}

int planted_shift(int value)
{
    return value << 40; /* gcc gcc-O2 tidy cppcheck */
}

int planted_same(int a, int b)
{
    return a == b && a == b; /* clang tidy cppcheck */
}

void planted_dead(int value)
{
    int twice = 0;
    if (value > 0)
        twice = 2 * value; /* clang tidy cppcheck */
}

int planted_number(const char *text)
{
    return atoi(text); /* tidy */
}

void planted_copy(char *to, const char *from)
{
    strcpy(to, from); /* clang tidy */
}

#ifdef PLANTED_MAIN

#include <pthread.h>

static int planted_counter;

static void *planted_race(void *unused)
{
    (void)unused;
    planted_counter++;
    return 0;
}

/* Prints what depends on it, since a value that nobody looks at is no bug to these tools. */
int main(int argc, char **argv)
{
    pthread_t other;
    if (argc == 2 && strcmp(argv[1], "uninitialised") == 0) {
        puts(planted_uninitialised(argc) != 0 ? "more" : "less");
    } else if (argc == 2 && strcmp(argv[1], "leak") == 0) {
        printf("%d\n", planted_leak("leak", 4));
    } else if (argc == 2 && strcmp(argv[1], "race") == 0 && pthread_create(&other, 0, planted_race, 0) == 0) {
        planted_race(0);
        pthread_join(other, 0);
    }
    return 0;
}

#endif
#endif
