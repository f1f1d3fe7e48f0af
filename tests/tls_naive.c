/* tls_naive: what a program gets that takes wolfSSL as it comes: no verification, any suite, any version.

       tls_naive PORT [SUITES]

   It connects to 127.0.0.1, prints "NAIVE version suite" and sends a line. The tests use it as their control: where
   it gets through and the library does not, it was the library that refused, and not a server that was broken. */

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned psk(WOLFSSL *ssl, const char *hint, char *identity, unsigned identity_size, unsigned char *key,
                    unsigned key_size, const char **suite)
{
    (void)ssl;
    (void)hint;
    (void)key_size;
    *suite = "TLS13-AES128-GCM-SHA256";
    snprintf(identity, identity_size, "Client_identity");
    memcpy(key, "\x1a\x2b\x3c\x4d", 4);
    return 4;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address;
    WOLFSSL_CTX *ctx;
    WOLFSSL *ssl;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (argc < 2)
        return 2;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((unsigned short)atoi(argv[1]));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        return 2;
    alarm(5);
    wolfSSL_Init();
    ctx = wolfSSL_CTX_new(wolfSSLv23_client_method());
    wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_NONE, 0);
    wolfSSL_CTX_SetMinVersion(ctx, WOLFSSL_TLSV1);
    wolfSSL_CTX_SetMinRsaKey_Sz(ctx, 512);
    if (argc > 2 && strcmp(argv[2], "PSK") == 0)
        wolfSSL_CTX_set_psk_client_tls13_callback(ctx, psk);
    else if (argc > 2 && *argv[2] && wolfSSL_CTX_set_cipher_list(ctx, argv[2]) != WOLFSSL_SUCCESS)
        return 2;
    ssl = wolfSSL_new(ctx);
    wolfSSL_set_fd(ssl, fd);
    if (wolfSSL_connect(ssl) != WOLFSSL_SUCCESS) {
        printf("NAIVE failed %d\n", wolfSSL_get_error(ssl, 0));
        return 1;
    }
    printf("NAIVE %s %s\n", wolfSSL_get_version(ssl), wolfSSL_get_cipher(ssl));
    wolfSSL_write(ssl, "x1 NAIVE\r\n", 10);
    wolfSSL_shutdown(ssl);
    wolfSSL_free(ssl);
    wolfSSL_CTX_free(ctx);
    close(fd);
    return 0;
}
