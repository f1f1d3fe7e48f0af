#include <string.h>

#include "lwip/dns.h"
#include "lwip/sys.h"

#include "lwip_transport.h"

enum { IDLE, LOOKING_UP, LOOKED_UP, CONNECTING, CONNECTED };

/* ---- what lwIP calls ---- */

/* The answer may be to a look-up of an earlier session, which nobody waits for any more. */
static void on_found(const char *name, const ip_addr_t *address, void *context)
{
    lwip_transport *link = (lwip_transport *)context;
    (void)name;
    link->looking_up = 0;
    if (link->state != LOOKING_UP)
        return;
    if (address != 0)
        link->address = *address;
    else
        link->error = IMAPCONNECT_E_HOST_NOT_FOUND;
    link->state = LOOKED_UP;
}

static err_t on_connected(void *context, struct tcp_pcb *pcb, err_t error)
{
    (void)pcb;
    (void)error; /* ERR_OK always */
    ((lwip_transport *)context)->state = CONNECTED;
    return ERR_OK;
}

/* The pcb is gone already. */
static void on_error(void *context, err_t error)
{
    lwip_transport *link = (lwip_transport *)context;
    link->pcb = 0;
    if (link->state == CONNECTED)
        link->error = IMAPCONNECT_E_RESET;
    else
        link->error = error == ERR_RST ? IMAPCONNECT_E_REFUSED : IMAPCONNECT_E_TIMED_OUT;
}

/* Everything is taken: the window, which opens only when it is read, bounds how much there can be. */
static err_t on_received(void *context, struct tcp_pcb *pcb, struct pbuf *bytes, err_t error)
{
    lwip_transport *link = (lwip_transport *)context;
    (void)pcb;
    (void)error;
    if (bytes == 0)
        link->ended = 1;
    else if (link->received == 0)
        link->received = bytes;
    else
        pbuf_cat(link->received, bytes);
    return ERR_OK;
}

/* ---- opening, in steps; each returns 0 to go on to the next, WANT, or an error ---- */

/* lwIP's number in one of ours. */
static int code_of(err_t error)
{
    if (error == ERR_MEM || error == ERR_BUF)
        return IMAPCONNECT_E_MEMORY;
    return error == ERR_RTE ? IMAPCONNECT_E_NO_ROUTE : IMAPCONNECT_E_TRANSPORT;
}

/* One look-up at a time: one that a closed session has left behind is waited for. */
static int look_up(lwip_transport *link, const char *host)
{
    err_t error;
    if (link->looking_up)
        return IMAPCONNECT_WANT_READ;
    link->state = LOOKING_UP;
    error = dns_gethostbyname(host, &link->address, on_found, link);
    link->looking_up = error == ERR_INPROGRESS;
    if (link->looking_up)
        return IMAPCONNECT_WANT_READ;
    link->state = LOOKED_UP;
    return error == ERR_OK ? 0 : error == ERR_ARG ? IMAPCONNECT_E_HOST_NOT_FOUND : code_of(error);
}

static int start_connecting(lwip_transport *link, uint16_t port)
{
    err_t error;
    link->pcb = tcp_new_ip_type(IP_GET_TYPE(&link->address));
    if (link->pcb == 0)
        return IMAPCONNECT_E_MEMORY;
    tcp_arg(link->pcb, link);
    tcp_err(link->pcb, on_error);
    tcp_recv(link->pcb, on_received);
    tcp_nagle_disable(link->pcb); /* a command is one small segment, and nothing comes before it was answered */
    link->state = CONNECTING;
    error = tcp_connect(link->pcb, &link->address, port, on_connected);
    return error == ERR_OK ? IMAPCONNECT_WANT_WRITE : code_of(error);
}

static int link_open(void *context, const char *host, uint16_t port, uint32_t *milliseconds)
{
    lwip_transport *link = (lwip_transport *)context;
    int code = 0;
    (void)milliseconds; /* the session keeps the time; `wait` comes back as soon as something has happened */
    link->poll();
    if (link->state == IDLE)
        code = look_up(link, host);
    if (code != 0 || link->error != 0)
        return code != 0 ? code : link->error;
    switch (link->state) {
    case LOOKED_UP:
        return start_connecting(link, port);
    case CONNECTED:
        return 0; /* there is one connection, and this is its number */
    default:
        return IMAPCONNECT_WANT_WRITE;
    }
}

/* ---- reading and writing ---- */

static int link_read(void *context, void *bytes, size_t count)
{
    lwip_transport *link = (lwip_transport *)context;
    uint16_t taken;
    link->poll();
    if (link->received == 0) {
        if (link->error != 0)
            return link->error;
        return link->ended ? IMAPCONNECT_CLOSED : IMAPCONNECT_WANT_READ;
    }
    taken = pbuf_copy_partial(link->received, bytes, (uint16_t)(count < 0xffff ? count : 0xffff), 0);
    link->received = pbuf_free_header(link->received, taken);
    if (link->pcb != 0)
        tcp_recved(link->pcb, taken); /* opens the window by as much */
    return taken;
}

/* As much as lwIP has room for. It copies, since imapconnect.h uses its buffer again. */
static int link_write(void *context, const void *bytes, size_t count)
{
    lwip_transport *link = (lwip_transport *)context;
    uint16_t room;
    err_t error;
    link->poll();
    if (link->pcb == 0)
        return link->error != 0 ? link->error : IMAPCONNECT_E_RESET;
    room = tcp_sndbuf(link->pcb);
    if (room > count)
        room = (uint16_t)count;
    if (room == 0)
        return IMAPCONNECT_WANT_WRITE;
    error = tcp_write(link->pcb, bytes, room, TCP_WRITE_FLAG_COPY);
    if (error == ERR_MEM)
        return IMAPCONNECT_WANT_WRITE; /* segments on their way use it; their acknowledgement gives it back */
    if (error != ERR_OK)
        return IMAPCONNECT_E_RESET;
    (void)tcp_output(link->pcb); /* what does not leave now is sent by lwIP's timer */
    return room;
}

/* Is there anything to do for the one who waits? */
static int is_ready(const lwip_transport *link, int what)
{
    if (link->error != 0 || link->state == LOOKED_UP)
        return 1;
    if (link->state != CONNECTED)
        return 0;
    if ((what & IMAPCONNECT_READABLE) != 0 && (link->received != 0 || link->ended))
        return 1;
    return (what & IMAPCONNECT_WRITABLE) != 0 && tcp_sndbuf(link->pcb) > 0;
}

/* Moves packets until there is. With an operating system, or to save current, this is the place to sleep. */
static int link_wait(void *context, int what, uint32_t milliseconds)
{
    lwip_transport *link = (lwip_transport *)context;
    uint32_t began = sys_now();
    do
        link->poll();
    while (!is_ready(link, what) && sys_now() - began < milliseconds);
    return 0;
}

/* ---- closing ---- */

/* From here on lwIP knows nothing of the session. What was not read is given up: a RST tells the peer. */
static void link_close(void *context)
{
    lwip_transport *link = (lwip_transport *)context;
    if (link->pcb != 0) {
        tcp_arg(link->pcb, 0);
        tcp_err(link->pcb, 0);
        tcp_recv(link->pcb, 0);
        if (tcp_close(link->pcb) != ERR_OK)
            tcp_abort(link->pcb);
    }
    if (link->received != 0)
        pbuf_free(link->received);
    link->pcb = 0;
    link->received = 0;
    link->state = IDLE;
    link->ended = 0;
    link->error = 0;
}

void lwip_transport_init(lwip_transport *link, imapconnect_transport *transport, void (*poll)(void))
{
    memset(link, 0, sizeof *link);
    link->poll = poll;
    transport->context = link;
    transport->open = link_open;
    transport->read = link_read;
    transport->write = link_write;
    transport->wait = link_wait;
    transport->close = link_close;
}
