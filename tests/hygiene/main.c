/* The program around use.c: calls use_a(), and with TWO_UNITS use_b(), and says where a check failed. */

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif
int use_a(void);
int use_b(void);
#ifdef __cplusplus
}
#endif

int main(void)
{
    int line = use_a();
#ifdef TWO_UNITS
    if (line == 0) {
        line = use_b();
    }
#endif
    if (line != 0) {
        printf("use.c:%d: check failed\n", line);
    }
    return line != 0;
}
