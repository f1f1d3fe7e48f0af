/* The implementation alone, as a program's own file would have it. hygiene.sh looks at the object. */

#define IMAPCONNECT_IMPLEMENTATION
#include "../../imapconnect.h"
