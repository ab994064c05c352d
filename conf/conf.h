/* conf.h - the configuration: one field for each setting of the schema (schema.h).
 *
 * Order:   defaults < file < environment < command line; each of the functions below changes what
 *          it names and leaves the rest.
 * Units:   durations in ns, sizes in bytes.
 * Memory:  a struct conf owns all that it points to; conf_free() gives it back. Texts are never
 *          NULL, only "". Everything is plain data: it may be read by any thread once it is
 *          complete.
 * Errors:  all mistakes of one call are added to errors, and nothing is changed where there is one.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/addr.h"
#include "common/error.h"
#include "conf/errors.h"

#define CONF_DEFAULT_FILE "/etc/flowline/flowline.yaml"

enum {
	CONF_FILE_MOST = 1 << 20, /* bytes */
	CONF_TAGS_MOST = 64,
	CONF_NETS_MOST = 256,
	CONF_PORTS_MOST = 32, /* FILTER_DNS_PORTS_MAX */
	CONF_IFACES_MOST = 32,
	CONF_HOST_MOST = 255, /* bytes; RFC 1035 section 2.3.4 */
	CONF_IFACE_MOST = 15, /* bytes; IFNAMSIZ - 1 */
	CONF_OUTPUTS_MOST = 16,
	CONF_NAME_MOST = 64,         /* bytes; of an output's own name */
	CONF_OUTPUT_NAME_SIZE = 128, /* room that always does for conf_output_name() */
};

struct conf_strings {
	char **v;
	size_t n;
};

struct conf_nets {
	struct ip_net *v;
	size_t n;
};

struct conf_ports {
	uint16_t *v;
	size_t n;
};

struct conf_tag {
	char *key, *value;
};

struct conf_tags {
	struct conf_tag *v;
	size_t n;
};

/* A packet is left out where each list that has entries has one that fits. */
struct conf_exclude {
	struct conf_nets cidr;  /* either address */
	struct conf_ports port; /* either port */
	struct conf_strings process;
};

struct conf_excludes {
	struct conf_exclude *v;
	size_t n;
};

enum conf_output_kind {
	CONF_OUTPUT_STDOUT,
	CONF_OUTPUT_FILE,
	CONF_OUTPUT_HTTP,
	CONF_OUTPUT_UNIX,
	CONF_OUTPUT_UDP,
};

enum conf_unix_type { CONF_UNIX_STREAM, CONF_UNIX_DATAGRAM };

/* One place where points go. Texts that its kind has are never NULL, only ""; the others are NULL.
 * Numbers that its kind does not have are 0, but for those of batches, which all kinds have. */
struct conf_output {
	enum conf_output_kind kind;
	char *name; /* "": conf_output_name() makes one */
	/* What is sent in one go is full with so many points or bytes, or its first is so old. Of
	 * stdout and file they are the defaults, always. */
	size_t batch_points, batch_bytes;
	uint64_t batch_age_ns;
	char *path; /* file; unix ("@name": abstract) */
	/* file */
	size_t rotate_bytes;    /* 0: never */
	uint64_t rotate_age_ns; /* 0: never */
	size_t keep;            /* old files */
	bool compress;          /* them */
	/* http */
	char *url; /* http(s)://host[:port][/path][?query], without user and password */
	char *database, *retention_policy;
	char *org, *bucket;
	char *user, *password; /* secret: password, token, values of headers; proxy may hold one */
	char *token;
	char *ca_file, *cert_file, *key_file;
	char *proxy;
	struct conf_strings headers; /* "Name: value" */
	bool insecure, gzip;
	uint64_t timeout_ns; /* and of unix */
	/* unix, udp */
	enum conf_unix_type type;
	size_t datagram_bytes;
	char *address; /* udp: "host:port", "[v6]:port" */
	bool spool;    /* keep on disk what cannot be delivered; only http and unix streams can */
};

struct conf_outputs {
	struct conf_output *v;
	size_t n;
};

enum conf_capture_mode { CONF_MODE_AUTO, CONF_MODE_PACKET, CONF_MODE_SOCKET, CONF_MODE_PROBE };
enum conf_narrow { CONF_NARROW_AUTO, CONF_NARROW_ALWAYS, CONF_NARROW_NEVER };
enum conf_count_udp { CONF_COUNT_UDP_AUTO, CONF_COUNT_UDP_NEVER };
enum conf_tunnels { CONF_TUNNELS_INNER, CONF_TUNNELS_OUTER };
enum conf_http_paths { CONF_PATHS_RAW, CONF_PATHS_TEMPLATE, CONF_PATHS_OFF };
enum conf_key_fields { CONF_KEYS_FIELD, CONF_KEYS_TAG };
enum conf_ip_types { CONF_IP_TYPES_IANA, CONF_IP_TYPES_DATAKIT };
enum conf_log_level { CONF_LOG_ERROR, CONF_LOG_WARN, CONF_LOG_INFO, CONF_LOG_DEBUG };

struct conf {
	char *host; /* "": ask the system */
	struct conf_tags tags;
	struct conf_nets local;
	uint64_t interval_ns;
	struct {
		enum conf_capture_mode mode;
		struct conf_strings interfaces; /* patterns: conf_interface_wanted(); none: all */
		struct conf_excludes exclude;
		size_t ring_bytes;
		enum conf_tunnels tunnels;
	} capture;
	struct {
		enum conf_narrow narrow;
		enum conf_count_udp count_udp;
		char *btf_path; /* "": the kernel's own */
	} kernel;
	struct {
		size_t max_flows; /* 0: the command's own default */
		uint64_t tcp_idle_ns, udp_idle_ns, tcp_attempt_ns;
	} flows;
	struct {
		struct conf_ports ports;
		uint64_t timeout_ns;
		size_t max_pending;
	} dns;
	struct {
		uint64_t timeout_ns;
		size_t max_path; /* bytes */
		enum conf_http_paths paths;
		size_t max_pending;
	} http;
	struct {
		bool fold_client_port;
		struct conf_strings exclude_tags;
		enum conf_key_fields key_fields;
		enum conf_ip_types ip_types;
		bool dns_domain;
		size_t max_series; /* per cycle and measurement */
	} points;
	struct {
		struct conf_strings databases; /* paths */
		char *language;
		bool coordinates;
	} geoip;
	struct {
		bool enabled;
		size_t max_entries;
	} names;
	struct {
		bool enabled;
		unsigned int cpu_percent;
		bool namespaces;
	} processes;
	struct conf_outputs outputs;
	struct {
		size_t queue_bytes; /* memory for each output */
		uint64_t retry_min_ns, retry_max_ns;
		uint64_t stop_timeout_ns; /* at the end: so long for what is still to be sent */
	} sending;
	struct {
		char *directory; /* "": no spool */
		size_t max_bytes;
		uint64_t max_age_ns; /* 0: no limit */
		size_t segment_bytes;
		size_t replay_rate; /* points a second; 0: as fast as it goes */
	} spool;
	struct {
		enum conf_log_level level;
	} log;
	struct {
		char *socket; /* path; "": none */
	} status;
};

/* The documented defaults. c need not be anything before. 0, or -ENOMEM (c may be freed). */
int conf_default(struct conf *c) MUST_CHECK;

/* A copy of its own. 0, or -ENOMEM with *to empty. */
int conf_copy(struct conf *to, const struct conf *from) MUST_CHECK;

/* Also of a struct of zeros; leaves one. */
void conf_free(struct conf *c);

/* Read a file over c. 0, or FL_EUSAGE. A file that is not there is a mistake. */
int conf_load_file(struct conf *c, const char *path, struct conf_errors *errors) MUST_CHECK;

/* The same from memory; path is for the messages. */
int conf_load_text(struct conf *c, const char *path, const char *text, size_t len,
		   struct conf_errors *errors) MUST_CHECK;

/* One "path=value" (--set): a scalar, a comma list, or a YAML list or map in [] or {}.
 * "tags.env=prod" sets one tag. 0, or FL_EUSAGE. */
int conf_set(struct conf *c, const char *path_value, struct conf_errors *errors) MUST_CHECK;

/* FLOWLINE_SECTION_KEY of env, a NULL-terminated list of NAME=VALUE. Leaves out FLOWLINE_CONFIG
 * (the file's name) and what Kubernetes sets for a service called flowline. 0, or FL_EUSAGE. */
int conf_env(struct conf *c, char *const *env, struct conf_errors *errors) MUST_CHECK;

/* What no single setting can tell: rules between several, once all that sets them was read. (A file
 * is checked for them when it is read, too.) 0, or FL_EUSAGE. */
int conf_check(const struct conf *c, struct conf_errors *errors) MUST_CHECK;

/* What an output is called: by its own name, else by where it leads, the same at each start:
 * "stdout", "file:PATH", "http:HOST:PORT[/PATH][#DATABASE or #BUCKET]", "unix:PATH", "udp:ADDRESS".
 * Never has a secret or a query. What does not fit is cut, and "~" and a hash of it all put behind.
 * The names of a configuration's outputs differ. */
void conf_output_name(const struct conf_output *o, char *out, size_t size);

/* The same as a file's name: letters, digits, ".", "-", "_" and ":"; what is something else is "_",
 * and a hash is put behind, so that two never meet. Size: at least 32. */
void conf_output_dir_name(const struct conf_output *o, char *out, size_t size);

struct conf_setting;

/* Tell each setting that differs, with its value before and now as text (borrowed for the call;
 * secrets are not shown). conf_setting_restarts() says whether it can change while running.
 * Returns how many, or -ENOMEM. */
int conf_diff(const struct conf *before, const struct conf *now,
	      void (*differs)(void *ctx, const struct conf_setting *s, const char *before_text,
			      const char *now_text),
	      void *ctx) MUST_CHECK;

/* A file with every setting, its meaning, range and default. */
void conf_print_default(FILE *out);

/* flowline.yaml(5), in roff (man(7)). */
void conf_print_manual(FILE *out);

/* Whether an interface of this name is to be watched: a pattern of glob(7) fits and no "!pattern"
 * does. With exclusions only, all others are wanted; with no patterns, all. */
bool conf_interface_wanted(const struct conf_strings *patterns, const char *name);

#endif
