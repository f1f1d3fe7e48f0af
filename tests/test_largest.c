/* Room >>commands with the buffers as large as they may be: what counts their bytes must not wrap. The size is odd, so the
   union around the bytes is larger than they are. */

#define IMAPCONNECT_READ_SIZE  65535
#define IMAPCONNECT_WRITE_SIZE 65535
#define IMAPCONNECT_LOG_SIZE   255
#include "test_commands.c"
