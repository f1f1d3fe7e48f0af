/* First fit, from the front, in an array: what wolfSSL takes is accounted for to the byte, heads of pieces included.
   user_settings.h says XMALLOC_USER, so that wolfSSL calls these three and no malloc() is linked. */

#include <stdint.h>
#include <string.h>

#include "heap.h"

#ifndef FIRMWARE_HEAP_SIZE
#define FIRMWARE_HEAP_SIZE 32768 /* for chains of RSA-4096, and records of 16 KB */
#endif

/* The head of a piece; the piece follows, and behind it comes the next head. */
typedef struct head {
    uint32_t size; /* with this head, a multiple of 8 */
    uint32_t used;
} head;

static union {
    uint64_t align;
    unsigned char bytes[FIRMWARE_HEAP_SIZE];
} heap;

static size_t in_use, peak, reach;

static head *first(void)
{
    head *piece = (head *)(void *)heap.bytes;
    if (piece->size == 0)
        piece->size = sizeof heap;
    return piece;
}

/* 0 behind the last one. */
static head *after(head *piece)
{
    unsigned char *next = (unsigned char *)piece + piece->size;
    return next < heap.bytes + sizeof heap ? (head *)(void *)next : 0;
}

/* Makes one of all free pieces from `piece` on. */
static void join(head *piece)
{
    head *next;
    while ((next = after(piece)) != 0 && !next->used)
        piece->size += next->size;
}

/* Leaves `size` bytes in `piece`, and makes a free one of the rest. */
static void split(head *piece, uint32_t size)
{
    head *rest;
    if (piece->size - size < 2 * sizeof *rest)
        return;
    rest = (head *)(void *)((unsigned char *)piece + size);
    rest->size = piece->size - size;
    rest->used = 0;
    piece->size = size;
}

static void account(const head *piece)
{
    size_t end = (size_t)((const unsigned char *)piece - heap.bytes) + piece->size;
    in_use += piece->size;
    peak = in_use > peak ? in_use : peak;
    reach = end > reach ? end : reach;
}

void *XMALLOC(size_t count, void *unused, int type);
void XFREE(void *memory, void *unused, int type);
void *XREALLOC(void *memory, size_t count, void *unused, int type);

void *XMALLOC(size_t count, void *unused, int type)
{
    uint32_t size = (uint32_t)((count + sizeof(head) + 7) & ~(size_t)7);
    head *piece;
    (void)unused;
    (void)type;
    if (count > sizeof heap)
        return 0;
    for (piece = first(); piece != 0; piece = after(piece)) {
        if (piece->used)
            continue;
        join(piece);
        if (piece->size < size)
            continue;
        split(piece, size);
        piece->used = 1;
        account(piece);
        return piece + 1;
    }
    return 0;
}

void XFREE(void *memory, void *unused, int type)
{
    head *piece = (head *)memory - 1;
    (void)unused;
    (void)type;
    if (memory == 0)
        return;
    in_use -= piece->size;
    piece->used = 0;
}

void *XREALLOC(void *memory, size_t count, void *unused, int type)
{
    void *moved = XMALLOC(count, unused, type);
    if (moved != 0 && memory != 0) {
        size_t before = ((head *)memory - 1)->size - sizeof(head);
        memcpy(moved, memory, before < count ? before : count);
        XFREE(memory, unused, type);
    }
    return moved;
}

size_t heap_size(void)
{
    return sizeof heap;
}

size_t heap_in_use(void)
{
    return in_use;
}

size_t heap_peak(void)
{
    return peak;
}

size_t heap_reach(void)
{
    return reach;
}

void heap_restart(void)
{
    head *piece;
    peak = in_use;
    reach = 0;
    for (piece = first(); piece != 0; piece = after(piece))
        if (piece->used)
            reach = (size_t)((unsigned char *)piece - heap.bytes) + piece->size;
}
