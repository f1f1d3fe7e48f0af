/* Start, clock, watchdog, semihosting and random numbers of QEMU's mps2-an385. */

#include <string.h>

#include "board.h"

/* ---- semihosting: the ARM document "Semihosting for AArch32 and AArch64" ---- */

#define SYS_OPEN          0x01
#define SYS_CLOSE         0x02
#define SYS_WRITE0        0x04
#define SYS_READ          0x06
#define SYS_GET_CMDLINE   0x15
#define SYS_EXIT_EXTENDED 0x20

#define APPLICATION_EXIT 0x20026

static int semihost(int operation, const void *arguments)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void board_print(const char *text)
{
    semihost(SYS_WRITE0, text);
}

void board_print_number(uint32_t number)
{
    char digits[11], *at = digits + 10;
    *at = 0;
    do
        *--at = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    board_print(at);
}

int board_arguments(char *text, size_t size)
{
    const void *block[2];
    block[0] = text;
    block[1] = (const void *)size;
    return semihost(SYS_GET_CMDLINE, block) == 0;
}

void board_exit(int status)
{
    const int block[2] = {APPLICATION_EXIT, status};
    for (;;)
        semihost(SYS_EXIT_EXTENDED, block);
}

void board_panic(const char *text)
{
    board_print("panic: ");
    board_print(text);
    board_print("\n");
    board_exit(3);
}

/* ---- memory: see mps2.ld ---- */

extern uint32_t firmware_stack_end[], firmware_stack_top[];
extern uint32_t firmware_data_load[], firmware_data[], firmware_data_end[], firmware_bss[], firmware_bss_end[];
extern char firmware_flash[], firmware_flash_end[];

#define PAINT 0xa5c35a3cu

size_t board_stack_size(void)
{
    return (size_t)((char *)firmware_stack_top - (char *)firmware_stack_end);
}

size_t board_stack_used(void)
{
    const uint32_t *at = firmware_stack_end;
    while (at < firmware_stack_top && *at == PAINT)
        at++;
    return (size_t)((const char *)firmware_stack_top - (const char *)at);
}

size_t board_flash_used(void)
{
    return (size_t)(firmware_flash_end - firmware_flash);
}

size_t board_ram_used(void)
{
    return (size_t)((char *)firmware_bss_end - (char *)firmware_data);
}

/* ---- the clock ---- */

#define CPU_HERTZ    25000000u
#define SYST_CSR     (*(volatile uint32_t *)0xe000e010)
#define SYST_RVR     (*(volatile uint32_t *)0xe000e014)
#define SYST_CVR     (*(volatile uint32_t *)0xe000e018)
#define SYST_RUNNING 7u /* enabled, with its interrupt, at the speed of the CPU */

static volatile uint32_t milliseconds;

static void on_tick(void)
{
    milliseconds++;
}

uint32_t board_milliseconds(void)
{
    return milliseconds;
}

/* Certificates have dates, and a device that starts in 1970 finds none of them valid yet; one that believes any date
   takes the certificate that was stolen years ago. This one begins with the moment when the image was built, which
   suits a test. A product asks the network (SNTP, or an HTTP Date, and remembers the latest time that it has seen in
   flash, since an attacker may answer those) or a clock with a battery, and never goes below the time of its build. */
#ifndef FIRMWARE_BUILD_TIME
#error "say when the image was built: -DFIRMWARE_BUILD_TIME=$(date +%s)"
#endif

static uint32_t start_time = FIRMWARE_BUILD_TIME;

void board_set_time(uint32_t seconds)
{
    start_time = seconds - board_milliseconds() / 1000;
}

/* wolfSSL asks this, see user_settings.h. Its time_t is a long. */
long firmware_time(long *result);

long firmware_time(long *result)
{
    long now = (long)(start_time + board_milliseconds() / 1000);
    if (result != 0)
        *result = now;
    return now;
}

/* lwIP asks this. */
uint32_t sys_now(void);

uint32_t sys_now(void)
{
    return board_milliseconds();
}

/* ---- the watchdog: CMSDK APB watchdog ---- */

#define WDOG_LOAD   (*(volatile uint32_t *)0x40008000)
#define WDOG_CTRL   (*(volatile uint32_t *)0x40008008)
#define WDOG_INTCLR (*(volatile uint32_t *)0x4000800c)
#define WDOG_LOCK   (*(volatile uint32_t *)0x40008c00)

#define WDOG_UNLOCK  0x1acce551u
#define WDOG_RUNNING 3u /* counts; at zero it warns, and at the next zero resets */

void board_start_watchdog(uint32_t seconds)
{
    WDOG_LOCK = WDOG_UNLOCK;
    WDOG_LOAD = seconds * CPU_HERTZ;
    WDOG_CTRL = WDOG_RUNNING;
}

void board_feed_watchdog(void)
{
    WDOG_INTCLR = 1;
}

/* ---- random numbers ----

   NOT FOR A PRODUCT. This board has no source of random numbers, so the host is asked through semihosting, which works
   in QEMU and at a debugger and nowhere else. TLS is worth nothing when its random numbers can be guessed: a product
   reads the random number generator of its chip here, checks it as the manual says, and fails when that fails. The
   build wants to hear that this is known, and the image says so in its first line. */
#ifndef FIRMWARE_NO_REAL_RANDOM
#error \
    "board.c has no source of random numbers for a product. Write firmware_seed(), or, for a test in QEMU alone, \
define FIRMWARE_NO_REAL_RANDOM."
#endif

/* wolfSSL seeds its generator from here, see user_settings.h: 0 when all bytes are random, anything else when not. */
int firmware_seed(unsigned char *bytes, unsigned int count);

int firmware_seed(unsigned char *bytes, unsigned int count)
{
    static const char name[] = "/dev/urandom";
    const void *open[3], *read[3];
    int file, missing;
    open[0] = name;
    open[1] = (const void *)1; /* "rb" */
    open[2] = (const void *)(sizeof name - 1);
    file = semihost(SYS_OPEN, open);
    if (file < 0)
        return -1;
    read[0] = (const void *)file;
    read[1] = bytes;
    read[2] = (const void *)count;
    missing = semihost(SYS_READ, read);
    semihost(SYS_CLOSE, read);
    return missing;
}

/* For lwIP's port and sequence numbers: what they are must not be guessed by someone who is not on the way. */
uint32_t board_random_word(void)
{
    uint32_t word = 0;
    if (firmware_seed((unsigned char *)&word, sizeof word) != 0)
        board_panic("no random numbers");
    return word;
}

/* ---- the start ---- */

int main(void);

/* The watchdog warns before it resets, so that a product can write down where it was. */
static void on_warning(void)
{
    board_panic("nobody feeds the watchdog");
}

void report_fault(void);

void report_fault(void)
{
    board_panic("fault: the stack is full, or a pointer is wrong");
}

/* The stack may be what is wrong, so it begins anew. */
__attribute__((naked)) static void on_fault(void)
{
    __asm__ volatile("ldr r0, =firmware_stack_top\n"
                     "mov sp, r0\n"
                     "b report_fault\n"
                     ".ltorg");
}

void on_reset(void);

void on_reset(void)
{
    uint32_t *at;
    memcpy(firmware_data, firmware_data_load, (size_t)((char *)firmware_data_end - (char *)firmware_data));
    memset(firmware_bss, 0, (size_t)((char *)firmware_bss_end - (char *)firmware_bss));
    /* Up to here, and a bit: this function has a frame, too. */
    for (at = firmware_stack_end; at < (uint32_t *)__builtin_frame_address(0) - 16; at++)
        *at = PAINT;
    SYST_RVR = CPU_HERTZ / 1000 - 1;
    SYST_CVR = 0;
    SYST_CSR = SYST_RUNNING;
    board_exit(main());
}

/* ARMv7-M Architecture Reference Manual, section B1.5.2. No other interrupt is enabled. */
__attribute__((section(".vectors"), used)) static const union {
    void (*function)(void);
    uint32_t *stack;
} vectors[16] = {
    {.stack = firmware_stack_top},
    {on_reset},
    {on_warning}, /* NMI */
    {on_fault},   /* HardFault, and all below that are not enabled */
    {on_fault},
    {on_fault},
    {on_fault},
    {0},
    {0},
    {0},
    {0},
    {on_fault},
    {on_fault},
    {0},
    {on_fault},
    {on_tick},
};
