/* The one file that gets the implementation. */

#define IMAPCONNECT_IMPLEMENTATION
#include "imapconnect.h"
