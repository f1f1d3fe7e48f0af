/* The board: mps2-an385 of QEMU, a Cortex-M3 with 25 MHz. What a port to another one writes anew. */

#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

/* Text for the one who watches: semihosting, so that it needs a debugger or QEMU. */
void board_print(const char *text);
void board_print_number(uint32_t number);

/* The words after the program's name. Returns 0 when there are none, or too many. */
int board_arguments(char *text, size_t size);

/* Ends the program, with a status for the one who started QEMU. */
void board_exit(int status) __attribute__((noreturn));
void board_panic(const char *text) __attribute__((noreturn));

/* Milliseconds since the start. */
uint32_t board_milliseconds(void);

/* Seconds since 1970: certificates are checked against it. See board.c. */
void board_set_time(uint32_t seconds);

/* Warns when nobody feeds it for `seconds`, and resets the board after as many again. */
void board_start_watchdog(uint32_t seconds);
void board_feed_watchdog(void);

/* NOT FOR A PRODUCT, see board.c. */
uint32_t board_random_word(void);

/* How deep the stack has ever been, and how deep it may be, in bytes. */
size_t board_stack_used(void);
size_t board_stack_size(void);

/* Of the image: bytes in flash; bytes of RAM with a place of their own, the stack not counted. */
size_t board_flash_used(void);
size_t board_ram_used(void);

#endif
