/* What lwIP asks of the compiler and the machine. */

#ifndef ARCH_CC_H
#define ARCH_CC_H

#include "board.h"

#define LWIP_NO_CTYPE_H            1
#define LWIP_RAND()                board_random_word()
#define LWIP_PLATFORM_DIAG(x)      ((void)0)
#define LWIP_PLATFORM_ASSERT(text) board_panic(text)

#endif
