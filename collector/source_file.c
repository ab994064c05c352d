/* source_file.c - capture files as a source of frames: pcap and pcapng, read by libpcap.
 *
 * pcap: draft-ietf-opsawg-pcap; pcapng: draft-ietf-opsawg-pcapng; link types:
 * tcpdump.org/linktypes.html. libpcap's buffer lives until its next packet only, so frames are
 * copied into an arena and handed over in batches: the engine wants several at a time.
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
	ARENA_BYTES =
	    256 * 1024, /* also the most of one frame that is used (libpcap's MAXIMUM_SNAPLEN) */
	STDIO_BYTES = 256 * 1024, /* fewer reads: a fifth less CPU time with small packets */
};

/* Latest time that is believed, ns: below INT64_MAX by more than any cycle, so that ends of cycles
 * can be worked out. Year 2261. */
#define TIME_MOST_NS 9200000000000000000ULL

#define NS_PER_S 1000000000ULL

struct source {
	pcap_t *pcap;
	FILE *file;
	bool pipe;
	uint8_t link;
	uint32_t subsecond_ns; /* ns in one unit of tv_usec */
	uint64_t total_bytes;  /* 0: not known */
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

/* What a person can do about the texts of libpcap that name a limit of its own. */
static const char *mend_of(const char *text)
{
	if (strstr(text, "different from the type of the first"))
		return "; libpcap reads one link type in a file: capture each interface into a "
		       "file "
		       "of its own (dumpcap -i IFACE -w FILE), flowline reads several";
	if (strstr(text, "different from the snapshot length"))
		return "; make them alike: editcap -F pcap FILE NEW.pcap";
	return "";
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

/* s->pcap from s->file. */
static int open_pcap(struct source *s, char *why, size_t why_size)
{
	char text[PCAP_ERRBUF_SIZE] = "";
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
		if (strstr(text, "unknown file format") && s->pipe)
			snprintf(why, why_size,
				 "is not a capture: want pcap or pcapng; "
				 "decompress it first");
		else if (strstr(text, "unknown file format"))
			snprintf(why, why_size, "is not a capture: %s",
				 other_format(fileno(s->file)));
		else if (strstr(text, "only got 0"))
			snprintf(why, why_size, "is empty: nothing was written to it");
		else
			snprintf(why, why_size, "cannot be read: %s%s", text, mend_of(text));
		return FL_EFORMAT;
	}
	link = link_of_dlt(pcap_datalink(s->pcap));
	if (link < 0) {
		refuse_link(pcap_datalink(s->pcap), why, why_size);
		return FL_EFORMAT;
	}
	s->link = (uint8_t)link;
	return 0;
}

static void file_close(struct source *s)
{
	if (!s)
		return;
	if (s->pcap)
		pcap_close(s->pcap); /* closes the file, too */
	else if (s->file)
		fclose(s->file);
	free(s);
}

static int file_open(struct source **out, const void *config, char *why, size_t why_size)
{
	const struct file_config *c = config;
	struct stat st;
	struct source *s;
	int fd, err;

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
	s->pipe = !S_ISREG(st.st_mode);
	s->total_bytes = s->pipe ? 0 : (uint64_t)st.st_size;
	setvbuf(s->file, s->stdio, _IOFBF, sizeof(s->stdio));
	if (!s->pipe)
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	err = open_pcap(s, why, why_size);
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
	uint32_t caplen = h->caplen < ARENA_BYTES ? h->caplen : ARENA_BYTES;
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

static int file_poll(struct source *s, const struct frame_sink *sink, char *why, size_t why_size)
{
	const char *text;
	int n;

	s->sink = sink;
	n = pcap_dispatch(s->pcap, BATCH_FRAMES, take_frame, (u_char *)s);
	hand_over(s); /* also those before an error */
	if (n > 0)
		return 1;
	if (n == 0) {
		snprintf(why, why_size, "end of the file");
		return -ENODATA;
	}
	text = pcap_geterr(s->pcap);
	snprintf(why, why_size, "frame %llu: %s%s", (unsigned long long)s->stats.frames + 1, text,
		 mend_of(text));
	return FL_EFORMAT;
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
