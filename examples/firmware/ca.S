/* The CA that this device trusts, as DER, in flash: `openssl x509 -in ca.pem -outform DER -out ca.der`. */

    .section .rodata.firmware_ca, "a"
    .global firmware_ca, firmware_ca_end
firmware_ca:
    .incbin FIRMWARE_CA
firmware_ca_end:
