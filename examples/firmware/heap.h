/* The heap of wolfSSL: a fixed array, with an account of what was taken. */

#ifndef HEAP_H
#define HEAP_H

#include <stddef.h>

/* Bytes of the array; in use now; at most in use at a time; up to the last byte that was ever in use. The last one is
   what the array must have: where pieces lie matters, too. heap_restart() forgets the last two. */
size_t heap_size(void);
size_t heap_in_use(void);
size_t heap_peak(void);
size_t heap_reach(void);
void heap_restart(void);

#endif
