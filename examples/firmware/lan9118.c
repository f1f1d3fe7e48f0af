/* SMSC LAN9118, the Ethernet controller: "LAN9118 datasheet", chapters 3 and 5. Frames go through two FIFOs of words,
   with a status word for each. */

#include "lwip/etharp.h"
#include "lwip/snmp.h"
#include "netif/ethernet.h"

#include "board.h"
#include "lan9118.h"

/* Registers, in bytes from the chip's address. */
enum {
    RX_DATA = 0x00,
    TX_DATA = 0x20,
    RX_STATUS = 0x40,
    TX_STATUS = 0x48,
    BYTE_TEST = 0x64,
    TX_CFG = 0x70,
    HW_CFG = 0x74,
    RX_DP_CTRL = 0x78,
    RX_FIFO_INF = 0x7c,
    TX_FIFO_INF = 0x80,
    MAC_CSR_CMD = 0xa4,
    MAC_CSR_DATA = 0xa8
};

/* Registers of the MAC, behind MAC_CSR_CMD. */
enum { MAC_CR = 1, ADDRH = 2, ADDRL = 3 };

#define HW_CFG_RESET     0x00000001u
#define HW_CFG_MUST_BE_1 0x00100000u
#define TX_CFG_ON        0x00000002u
#define MAC_CSR_BUSY     0x80000000u
#define MAC_CR_TX        0x00000008u
#define MAC_CR_RX        0x00000004u
#define RX_STATUS_ERROR  0x00008000u
#define RX_DISCARD       0x80000000u
#define TX_FIRST_LAST    0x00003000u
#define BYTE_TEST_VALUE  0x87654321u
#define CRC_SIZE         4u

static volatile uint32_t *at(const struct netif *netif, unsigned offset)
{
    return (volatile uint32_t *)((uintptr_t)netif->state + offset);
}

static void write_mac(const struct netif *netif, uint32_t which, uint32_t value)
{
    while ((*at(netif, MAC_CSR_CMD) & MAC_CSR_BUSY) != 0)
        continue;
    *at(netif, MAC_CSR_DATA) = value;
    *at(netif, MAC_CSR_CMD) = MAC_CSR_BUSY | which;
}

/* The frame is in one piece for the chip, and in any number of pieces for lwIP: words are put together from its bytes.
   The FIFO holds three full frames; a frame that does not fit is dropped, and TCP sends it again. */
static err_t send(struct netif *netif, struct pbuf *frame)
{
    uint32_t word = 0;
    unsigned count = 0;
    const struct pbuf *piece;
    if ((*at(netif, TX_FIFO_INF) & 0xffff) < frame->tot_len + 16u)
        return ERR_MEM;
    *at(netif, TX_DATA) = TX_FIRST_LAST | frame->tot_len;
    *at(netif, TX_DATA) = frame->tot_len;
    for (piece = frame; piece != 0; piece = piece->next) {
        const uint8_t *bytes = (const uint8_t *)piece->payload;
        unsigned i;
        for (i = 0; i < piece->len; i++) {
            word |= (uint32_t)bytes[i] << 8 * (count & 3);
            if ((++count & 3) == 0) {
                *at(netif, TX_DATA) = word;
                word = 0;
            }
        }
    }
    if ((count & 3) != 0)
        *at(netif, TX_DATA) = word;
    while ((*at(netif, TX_FIFO_INF) & 0x00ff0000) != 0)
        (void)*at(netif, TX_STATUS);
    return ERR_OK;
}

/* Takes `words` words out of the FIFO, into the pieces of `frame`. */
static void take(const struct netif *netif, struct pbuf *frame, unsigned words)
{
    uint32_t word = 0;
    unsigned count = 0;
    struct pbuf *piece;
    for (piece = frame; piece != 0; piece = piece->next) {
        uint8_t *bytes = (uint8_t *)piece->payload;
        unsigned i;
        for (i = 0; i < piece->len; i++, word >>= 8) {
            if ((count++ & 3) == 0) {
                word = *at(netif, RX_DATA);
                words--;
            }
            bytes[i] = (uint8_t)word;
        }
    }
    while (words-- > 0) /* the CRC */
        (void)*at(netif, RX_DATA);
}

/* The frame that is next in the FIFO, or 0 when it is broken or there is no room for it. */
static struct pbuf *receive(const struct netif *netif)
{
    uint32_t status = *at(netif, RX_STATUS);
    unsigned length = status >> 16 & 0x3fff;
    struct pbuf *frame = 0;
    if ((status & RX_STATUS_ERROR) == 0 && length > CRC_SIZE)
        frame = pbuf_alloc(PBUF_RAW, (uint16_t)(length - CRC_SIZE), PBUF_POOL);
    if (frame != 0)
        take(netif, frame, (length + 3) / 4);
    else if (length < 16)
        take(netif, 0, (length + 3) / 4); /* the chip cannot discard less than four words */
    else
        *at(netif, RX_DP_CTRL) = RX_DISCARD;
    while ((*at(netif, RX_DP_CTRL) & RX_DISCARD) != 0)
        continue;
    return frame;
}

void lan9118_poll(struct netif *netif)
{
    while ((*at(netif, RX_FIFO_INF) & 0x00ff0000) != 0) {
        struct pbuf *frame = receive(netif);
        if (frame != 0 && netif->input(frame, netif) != ERR_OK)
            pbuf_free(frame);
    }
}

/* An address of one's own, from the locally administered ones: a product has one on its label. */
static void set_address(struct netif *netif)
{
    static const uint8_t address[ETH_HWADDR_LEN] = {0x02, 0x00, 0x00, 0x00, 0x00, 0x01};
    netif->hwaddr_len = ETH_HWADDR_LEN;
    MEMCPY(netif->hwaddr, address, sizeof address);
    write_mac(netif, ADDRL, 0x00000002u);
    write_mac(netif, ADDRH, 0x00000100u);
}

err_t lan9118_init(struct netif *netif)
{
    if (*at(netif, BYTE_TEST) != BYTE_TEST_VALUE)
        return ERR_IF;
    *at(netif, HW_CFG) = HW_CFG_RESET;
    while ((*at(netif, HW_CFG) & HW_CFG_RESET) != 0)
        continue;
    *at(netif, HW_CFG) = HW_CFG_MUST_BE_1 | 5u << 16; /* 5 KB of the FIFO for sending */
    set_address(netif);
    *at(netif, TX_CFG) = TX_CFG_ON;
    write_mac(netif, MAC_CR, MAC_CR_TX | MAC_CR_RX);
    netif->name[0] = 'e';
    netif->name[1] = 'n';
    netif->mtu = 1500;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_LINK_UP;
    netif->output = etharp_output;
    netif->linkoutput = send;
    return ERR_OK;
}
