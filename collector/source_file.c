/* source_file.c - capture files as a source of frames: pcap by libpcap (the records of the plain format by
 * pcap_records.h), pcapng by pcapng.h.
 *
 * pcap: draft-ietf-opsawg-pcap; link types: tcpdump.org/linktypes.html. Frames are gathered in an
 * arena and handed over in batches: the engine wants several at a time. libpcap's buffer lives
 * until its next packet only, so its frames are copied there; the pcapng reader reads into it.
 *
 * All interfaces of a pcapng file are one (frame.iface 0): what two of them saw counts twice, as it
 * does for other readers of such files.
 */
#include "collector/source_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/pcap_records.h"
#include "collector/pcapng.h"
#include "common/log.h"

/* LINKTYPE_/DLT_ values that older libpcap has no name for, and those that differ between systems.
 */
#define DLT_OF_RAW_LINUX   12
#define DLT_OF_RAW_OPENBSD 14
#define DLT_OF_RAW_FILE    101
#define DLT_OF_IPV4        228
#define DLT_OF_IPV6        229
#define DLT_OF_SLL2        276

enum {
	BATCH_FRAMES = 64,
	FRAME_BYTES = PCAPNG_FRAME_BYTES, /* of one frame; also libpcap's MAXIMUM_SNAPLEN */
	ARENA_BYTES = PCAP_RECORDS_BUFFER, /* more than PCAPNG_ROOM_BYTES */
	STDIO_BYTES = 256 * 1024, /* fewer reads: a fifth less CPU time with small packets */
	UNREAD_MOST = 8,          /* link types of a file that are warned of, one by one */
	NAME_SIZE = 256,
};

/* Latest time that is believed, ns: below INT64_MAX by more than any cycle, so that ends of cycles
 * can be worked out. Year 2261. */
#define TIME_MOST_NS 9200000000000000000ULL

#define NS_PER_S 1000000000ULL

/* A link type that is not read, in a pcapng file that has others as well. */
struct unread {
	uint64_t frame; /* the first one with it */
	uint32_t iface;
	uint16_t linktype;
};

struct source {
	pcap_t *pcap; /* one of the two */
	struct pcapng *ng;
	bool plain;        /* pcap: records are for pcap_records_next() */
	struct pcap_records records;
	FILE *file;
	bool pipe;
	uint8_t link;
	uint32_t subsecond_ns; /* ns in one unit of tv_usec */
	uint64_t total_bytes;  /* 0: not known */
	char name[NAME_SIZE];
	struct unread unread[UNREAD_MOST];
	size_t nunread, nwarned;
	/* Frames that are not read in front of the first one that is: file_open() only counts them.
	 */
	uint64_t held, held_bytes, held_ns;
	struct pcapng_packet first; /* the one that is; in the arena */
	bool has_first;
	struct source_stats stats;
	const struct frame_sink *sink; /* during poll */
	size_t nframes, used;
	struct frame frames[BATCH_FRAMES];
	uint8_t arena[ARENA_BYTES];
	char stdio[STDIO_BYTES];
};

struct link_refused {
	int dlt;
	const char *mend;
};

static const struct link_refused links_refused[] = {
    {105, "802.11 frames: capture without monitor mode, so that the kernel gives Ethernet frames"},
    {119, "802.11 frames: capture without monitor mode, so that the kernel gives Ethernet frames"},
    {127, "802.11 frames: capture without monitor mode, so that the kernel gives Ethernet frames"},
    {163, "802.11 frames: capture without monitor mode, so that the kernel gives Ethernet frames"},
    {189, "USB: there is no IP traffic in it; capture on a network interface"},
    {220, "USB: there is no IP traffic in it; capture on a network interface"},
    {249, "USB: there is no IP traffic in it; capture on a network interface"},
    {187, "Bluetooth: there is no IP traffic in it; capture on a network interface"},
    {201, "Bluetooth: there is no IP traffic in it; capture on a network interface"},
    {239, "netfilter log: capture on the network interface instead of nflog"},
    {253, "netlink messages: capture on a network interface instead of nlmon"},
};

static int link_of_dlt(int dlt)
{
	switch (dlt) {
	case DLT_EN10MB:
		return LINK_ETHERNET;
	case DLT_OF_RAW_LINUX:
	case DLT_OF_RAW_OPENBSD:
	case DLT_OF_RAW_FILE:
	case DLT_OF_IPV4:
	case DLT_OF_IPV6:
		return LINK_RAW;
	case DLT_LINUX_SLL:
		return LINK_SLL;
	case DLT_OF_SLL2:
		return LINK_SLL2;
	case DLT_NULL:
		return LINK_NULL;
	case DLT_LOOP:
		return LINK_LOOP;
	default:
		return -1;
	}
}

static void refuse_link(int dlt, char *why, size_t why_size)
{
	const char *name = pcap_datalink_val_to_name(dlt);
	const char *mend = "capture on the network interface itself (tcpdump -i IFACE -w FILE)";
	size_t i;

	for (i = 0; i < sizeof(links_refused) / sizeof(links_refused[0]); i++)
		if (links_refused[i].dlt == dlt)
			mend = links_refused[i].mend;
	snprintf(why, why_size,
		 "link type %d (%s) is not read, only Ethernet, raw IP, Linux cooked and BSD "
		 "null/loop are; %s",
		 dlt, name ? name : "unknown to libpcap", mend);
}

/* A file of another kind, by its first bytes: what to do with it. */
static const char *other_format(int fd)
{
	static const struct {
		const char *magic, *mend;
		size_t len;
	} formats[] = {
	    {"\x1f\x8b", "it is compressed: zcat FILE | flowline read -", 2},
	    {"\x28\xb5\x2f\xfd", "it is compressed: zstdcat FILE | flowline read -", 4},
	    {"\xfd"
	     "7zXZ",
	     "it is compressed: xzcat FILE | flowline read -", 5},
	    {"BZh", "it is compressed: bzcat FILE | flowline read -", 3},
	    {"\x04\x22\x4d\x18", "it is compressed: lz4cat FILE | flowline read -", 4},
	    {"PK\x03\x04", "it is a zip file: unzip -p FILE | flowline read -", 4},
	    {"snoop", "it is a snoop file: editcap -F pcap FILE NEW.pcap converts it", 5},
	};
	char head[8] = "";
	size_t i;
	ssize_t n = pread(fd, head, sizeof(head), 0);

	for (i = 0; n > 0 && i < sizeof(formats) / sizeof(formats[0]); i++)
		if ((size_t)n >= formats[i].len && !memcmp(head, formats[i].magic, formats[i].len))
			return formats[i].mend;
	return "want a pcap or pcapng file; editcap -F pcap FILE NEW.pcap converts other captures";
}

static void refuse_format(const struct source *s, char *why, size_t why_size)
{
	snprintf(why, why_size, "is not a capture: %s",
		 s->pipe ? "want pcap or pcapng; decompress it first"
			 : other_format(fileno(s->file)));
}

static int open_fd(const char *path, struct stat *st, char *why, size_t why_size)
{
	bool std_input = !strcmp(path, "-");
	int fd, err;

	if (std_input && isatty(STDIN_FILENO)) {
		snprintf(why, why_size,
			 "is a terminal: pipe a capture in, such as "
			 "tcpdump -i eth0 -w - | flowline read -");
		return -EINVAL;
	}
	fd = std_input ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, st)) {
		err = errno;
		snprintf(why, why_size, "cannot be opened: %s%s", strerror(err),
			 err == ENOENT   ? "; is the name right?"
			 : err == EACCES ? "; read permission on it, or sudo, is needed"
					 : "");
		if (fd >= 0)
			close(fd);
		return -err;
	}
	if (S_ISDIR(st->st_mode)) {
		snprintf(why, why_size, "is a directory: name the capture files in it");
		close(fd);
		return -EISDIR;
	}
	if (S_ISREG(st->st_mode) && st->st_size == 0) {
		snprintf(why, why_size, "is empty (0 bytes): no capture was written to it");
		close(fd);
		return FL_EFORMAT;
	}
	return fd;
}

/* The next bytes, which stay to be read: they are pushed back into the buffer that they came from. */
static bool peek(FILE *f, uint8_t *bytes, size_t n)
{
	size_t got = fread(bytes, 1, n, f), i;

	for (i = got; i > 0; i--)
		if (ungetc(bytes[i - 1], f) == EOF)
			return false;
	return got == n;
}

static int open_pcap(struct source *s, char *why, size_t why_size)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	uint8_t magic[PCAP_MAGIC_BYTES];
	bool plain = peek(s->file, magic, sizeof(magic)) &&
		     pcap_records_plain(magic, &s->records.big_endian, &s->records.subsecond_ns);
	int link;

	s->subsecond_ns = 1000;
#ifdef PCAP_TSTAMP_PRECISION_NANO
	s->pcap =
	    pcap_fopen_offline_with_tstamp_precision(s->file, PCAP_TSTAMP_PRECISION_NANO, text);
	s->subsecond_ns = 1;
#else
	s->pcap = pcap_fopen_offline(s->file, text);
#endif
	if (!s->pcap) {
		if (strstr(text, "unknown file format"))
			refuse_format(s, why, why_size);
		else if (strstr(text, "only got 0"))
			snprintf(why, why_size, "is empty: nothing was written to it");
		else
			snprintf(why, why_size, "cannot be read: %s", text);
		return FL_EFORMAT;
	}
	link = link_of_dlt(pcap_datalink(s->pcap));
	if (link < 0) {
		refuse_link(pcap_datalink(s->pcap), why, why_size);
		return FL_EFORMAT;
	}
	s->link = (uint8_t)link;
	s->plain = plain && pcap_major_version(s->pcap) == 2 && pcap_minor_version(s->pcap) == 4;
	s->records.file = s->file;
	s->records.buffer = s->arena;
	s->records.link = s->link;
	return 0;
}

/* ---- pcapng ---------------------------------------------------------------------- */

static void note_unread(struct source *s, const struct pcapng_packet *p)
{
	size_t i;

	for (i = 0; i < s->nunread; i++)
		if (s->unread[i].linktype == p->linktype)
			return;
	if (s->nunread == UNREAD_MOST)
		return;
	s->unread[i].linktype = p->linktype;
	s->unread[i].iface = p->iface;
	s->unread[i].frame = pcapng_packets(s->ng);
	s->nunread++;
}

static void warn_unread(struct source *s)
{
	char text[512];

	for (; s->nwarned < s->nunread; s->nwarned++) {
		const struct unread *u = &s->unread[s->nwarned];

		refuse_link(u->linktype, text, sizeof(text));
		log_warn("%s: frame %llu, interface %u: %s. Such frames are counted as unknown",
			 s->name, (unsigned long long)u->frame, (unsigned int)u->iface, text);
	}
}

/* A frame whose link type is not read: the engine has to count it, and is not to look into it. For
 * that it is a BSD null frame of no address family. */
static void add_unread(struct source *s, uint64_t time_ns, uint32_t wirelen)
{
	static const uint8_t no_family[4];
	struct frame *f = &s->frames[s->nframes++];

	f->time_ns = time_ns;
	f->data = no_family;
	f->caplen = sizeof(no_family);
	f->wirelen = wirelen > sizeof(no_family) ? wirelen : sizeof(no_family);
	f->iface = 0;
	f->link = LINK_NULL;
}

static void add_packet(struct source *s, const struct pcapng_packet *p)
{
	struct frame *f;

	if (p->link < 0) {
		note_unread(s, p);
		add_unread(s, p->time_ns, p->wirelen);
		return;
	}
	f = &s->frames[s->nframes++];
	f->time_ns = p->time_ns;
	f->data = p->data;
	f->caplen = p->caplen;
	f->wirelen = p->wirelen;
	f->iface = 0;
	f->link = (uint8_t)p->link;
	s->used = (size_t)(p->data - s->arena) + p->caplen;
}

/* Frames that are not read are only counted until there is one that is: a file that has none is
 * refused, and gives no points. */
static int open_pcapng(struct source *s, char *why, size_t why_size)
{
	struct pcapng_packet *p = &s->first;
	int err;

	s->ng = pcapng_new(s->file, link_of_dlt);
	if (!s->ng) {
		snprintf(why, why_size, "memory was refused");
		return -ENOMEM;
	}
	while ((err = pcapng_next(s->ng, s->arena, sizeof(s->arena), p)) == 1 && p->link < 0) {
		note_unread(s, p);
		if (!s->held++)
			s->held_ns = p->time_ns;
		s->held_bytes += p->wirelen;
	}
	s->has_first = err == 1;
	if (err == FL_EUNKNOWN) {
		refuse_format(s, why, why_size);
		return FL_EFORMAT;
	}
	if (err < 0 && !pcapng_packets(s->ng)) {
		snprintf(why, why_size, "cannot be read: %s", pcapng_why(s->ng));
		return err;
	}
	if (pcapng_refused(s->ng) >= 0) {
		refuse_link(pcapng_refused(s->ng), why, why_size);
		return FL_EFORMAT;
	}
	return 0; /* an error after the first frame is for file_poll() to say */
}

static void file_close(struct source *s)
{
	if (!s)
		return;
	if (s->pcap)
		pcap_close(s->pcap); /* closes the file, too */
	else if (s->file)
		fclose(s->file);
	pcapng_free(s->ng);
	free(s);
}

static int file_open(struct source **out, const void *config, char *why, size_t why_size)
{
	const struct file_config *c = config;
	struct stat st;
	struct source *s;
	int fd, err, first;

	*out = NULL;
	fd = open_fd(c->path, &st, why, why_size);
	if (fd < 0)
		return fd;
	s = malloc(sizeof(*s)); /* 0.5 MiB that need not be cleared */
	if (s) {
		memset(s, 0, offsetof(struct source, frames));
		s->file = fdopen(fd, "rb");
	}
	if (!s || !s->file) {
		snprintf(why, why_size, "memory was refused");
		close(fd);
		free(s);
		return -ENOMEM;
	}
	snprintf(s->name, sizeof(s->name), "%s", strcmp(c->path, "-") ? c->path : "standard input");
	s->pipe = !S_ISREG(st.st_mode);
	s->total_bytes = s->pipe ? 0 : (uint64_t)st.st_size;
	setvbuf(s->file, s->stdio, _IOFBF, sizeof(s->stdio));
	if (!s->pipe)
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	first = getc(s->file);
	if (first != EOF)
		ungetc(first, s->file);
	err = first == PCAPNG_FIRST_BYTE ? open_pcapng(s, why, why_size)
					 : open_pcap(s, why, why_size);
	if (err) {
		file_close(s);
		return err;
	}
	*out = s;
	return 0;
}

static int file_probe(const void *config, char *why, size_t why_size)
{
	struct source *s;
	int err = file_open(&s, config, why, why_size);

	file_close(s);
	return err;
}

static void hand_over(struct source *s)
{
	if (!s->nframes)
		return;
	s->stats.frames += s->nframes;
	s->sink->frames(s->sink->ctx, s->frames, s->nframes);
	s->nframes = 0;
	s->used = 0;
}

/* pcap has 32 bits for the seconds; libpcap takes them for signed. Out of range are hostile files
 * only. */
static uint64_t time_of(const struct pcap_pkthdr *h, uint32_t subsecond_ns)
{
	int64_t s = h->ts.tv_sec, sub = h->ts.tv_usec;

	if (s < 0)
		s = s >= INT32_MIN ? (int64_t)(uint32_t)s : 0;
	if (sub < 0)
		sub = 0;
	if (sub > (int64_t)(NS_PER_S / subsecond_ns) - 1)
		sub = (int64_t)(NS_PER_S / subsecond_ns) - 1;
	if ((uint64_t)s >= TIME_MOST_NS / NS_PER_S)
		return TIME_MOST_NS;
	return (uint64_t)s * NS_PER_S + (uint64_t)sub * subsecond_ns;
}

static void take_frame(u_char *user, const struct pcap_pkthdr *h, const u_char *bytes)
{
	struct source *s = (struct source *)user;
	uint32_t caplen = h->caplen < FRAME_BYTES ? h->caplen : FRAME_BYTES;
	struct frame *f;

	if (s->nframes == BATCH_FRAMES || s->used + caplen > ARENA_BYTES)
		hand_over(s);
	f = &s->frames[s->nframes++];
	f->time_ns = time_of(h, s->subsecond_ns);
	f->data = s->arena + s->used;
	f->caplen = caplen;
	f->wirelen = h->len > caplen ? h->len : caplen;
	f->iface = 0;
	f->link = s->link;
	memcpy(s->arena + s->used, bytes, caplen);
	s->used += caplen;
}

/* What file_open() has counted only. The bytes are right in sum. */
static void release_held(struct source *s)
{
	uint64_t bytes;

	for (; s->held && s->nframes < BATCH_FRAMES; s->held--) {
		bytes = s->held_bytes / s->held;
		add_unread(s, s->held_ns, (uint32_t)bytes);
		s->held_bytes -= bytes;
	}
}

static int poll_pcapng(struct source *s, char *why, size_t why_size)
{
	struct pcapng_packet p;
	int n = 1;

	release_held(s);
	if (s->has_first && s->nframes < BATCH_FRAMES) {
		add_packet(s, &s->first);
		s->has_first = false;
	}
	while (!s->held && !s->has_first && s->nframes < BATCH_FRAMES) {
		n = pcapng_next(s->ng, s->arena + s->used, sizeof(s->arena) - s->used, &p);
		if (n != 1)
			break;
		add_packet(s, &p);
	}
	hand_over(s); /* also those before an error */
	warn_unread(s);
	if (n == 1 || n == FL_EFULL)
		return 1;
	if (n == 0) {
		snprintf(why, why_size, "end of the file");
		return -ENODATA;
	}
	snprintf(why, why_size, "%s", pcapng_why(s->ng));
	return n;
}

static int poll_pcap(struct source *s, char *why, size_t why_size)
{
	int n = pcap_dispatch(s->pcap, BATCH_FRAMES, take_frame, (u_char *)s);

	hand_over(s); /* also those before an error */
	if (n > 0)
		return 1;
	if (n == 0) {
		snprintf(why, why_size, "end of the file");
		return -ENODATA;
	}
	snprintf(why, why_size, "frame %llu: %s", (unsigned long long)s->stats.frames + 1,
		 pcap_geterr(s->pcap));
	return FL_EFORMAT;
}

static int poll_records(struct source *s, char *why, size_t why_size)
{
	int n = pcap_records_next(&s->records, s->frames, BATCH_FRAMES, why, why_size);

	if (n <= 0) {
		if (!n)
			snprintf(why, why_size, "end of the file");
		return n ? n : -ENODATA;
	}
	s->nframes = (size_t)n;
	hand_over(s);
	return 1;
}

static int file_poll(struct source *s, const struct frame_sink *sink, char *why, size_t why_size)
{
	s->sink = sink;
	if (s->plain)
		return poll_records(s, why, why_size);
	return s->ng ? poll_pcapng(s, why, why_size) : poll_pcap(s, why, why_size);
}

static int file_fd(const struct source *s)
{
	(void)s;
	return -1;
}

static void file_stats(struct source *s, struct source_stats *out)
{
	*out = s->stats;
}

void source_file_progress(const struct source *s, uint64_t *done_bytes, uint64_t *total_bytes)
{
	off_t at = ftello(s->file);

	*done_bytes = at > 0 ? (uint64_t)at : 0;
	*total_bytes = s->total_bytes;
}

const struct source_ops source_file = {
    .name = "file",
    .probe = file_probe,
    .open = file_open,
    .fd = file_fd,
    .poll = file_poll,
    .stats = file_stats,
    .close = file_close,
};
