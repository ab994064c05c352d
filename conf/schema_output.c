/* schema_output.c - the settings of each kind of output, and outputs for what is often met.
 *
 * Sources of the examples: docs.influxdata.com (InfluxDB 1 and 2 "/write" and "/api/v2/write";
 * InfluxDB 3 "compatibility APIs"; Telegraf's influxdb_listener, http_listener_v2 and
 * socket_listener), docs.victoriametrics.com "InfluxDB line protocol", questdb.io "ILP over HTTP",
 * docs.guance.com "DataKit API".
 */
#include "conf/schema.h"

#define MS  1000000ULL
#define SEC 1000000000ULL
#define MIN (60 * SEC)
#define HR  (3600 * SEC)
#define DAY (24 * HR)
#define KIB 1024ULL
#define MIB (1024 * KIB)
#define TIB (1024 * 1024 * MIB)

#define AT(m)    offsetof(struct conf_output, m)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { PATH_MOST = 4095, TEXT_MOST = 1024 };

/* In the order of enum conf_unix_type. */
static const char *const unix_types[] = {"stream", "datagram", NULL};

/* Rows that several kinds have. */
#define NAME                                                                                       \
	"name", CONF_LABEL, 0, AT(name), 0, CONF_NAME_MOST, 0, "", "main", NULL,                   \
	    "What it is called in messages, in 'flowline status' and in the spool's directory. "   \
	    "Empty: by where it leads."
#define BATCH_POINTS                                                                               \
	"batch_points", CONF_COUNT, 0, AT(batch_points), 1, 100000, 0, "5000", "1000", NULL,       \
	    "Points that are sent in one go, at most."
#define BATCH_SIZE                                                                                 \
	"batch_size", CONF_SIZE, 0, AT(batch_bytes), 4 * KIB, 64 * MIB, 0, "1M", "256k", NULL,     \
	    "The same in bytes, before compression."
#define BATCH_AGE                                                                                  \
	"batch_age", CONF_DURATION, 0, AT(batch_age_ns), 0, HR, 0, "1s", "10s", NULL,              \
	    "What is not full by then is sent all the same."

static const struct conf_setting stdout_settings[] = {{NAME}};

static const struct conf_setting file_settings[] = {
    {"path", CONF_STRING, CONF_SOME, AT(path), 1, PATH_MOST, 0, "", "/var/log/flowline.line", NULL,
     "The file that points are appended to. Opened anew on SIGHUP, for logrotate(8)."},
    {"rotate_size", CONF_SIZE, 0, AT(rotate_bytes), 0, TIB, 0, "0", "100M", NULL,
     "A file that would become bigger is moved away first, to its name with the time behind it "
     "(-20260131T235959Z), and a new one is begun. 0: never."},
    {"rotate_age", CONF_DURATION, 0, AT(rotate_age_ns), 0, 366 * DAY, 0, "0s", "24h", NULL,
     "The same for one that was begun so long ago. 0s: never."},
    {"keep", CONF_COUNT, 0, AT(keep), 0, 1000, 0, "7", "30", NULL,
     "Files moved away that are kept; the oldest goes."},
    {"compress", CONF_BOOL, 0, AT(compress), 0, 0, 0, "true", "false", NULL,
     "Compress files that were moved away (gzip)."},
    {NAME},
};

static const struct conf_setting http_settings[] = {
    {"url", CONF_URL, CONF_SOME, AT(url), 1, 4095, 0, "", "http://127.0.0.1:8086", NULL,
     "The backend. Without a path, points are written to /api/v2/write where bucket is set, else "
     "to /write; a path of its own is taken as it is, and a query is kept. user and password do "
     "not stand in it."},
    {"database", CONF_STRING, 0, AT(database), 0, TEXT_MOST, 0, "", "flowline", NULL,
     "InfluxDB 1: the database (db=). It must exist."},
    {"retention_policy", CONF_STRING, 0, AT(retention_policy), 0, TEXT_MOST, 0, "", "two_weeks",
     NULL, "InfluxDB 1: how long points are kept (rp=). Empty: the database's default."},
    {"org", CONF_STRING, 0, AT(org), 0, TEXT_MOST, 0, "", "example", NULL,
     "InfluxDB 2: the organization. With bucket only."},
    {"bucket", CONF_STRING, 0, AT(bucket), 0, TEXT_MOST, 0, "", "flowline", NULL,
     "InfluxDB 2: the bucket; InfluxDB 3: the database. Not with database."},
    {"user", CONF_STRING, 0, AT(user), 0, TEXT_MOST, 0, "", "flowline", NULL,
     "User of HTTP's basic authentication. Not with token."},
    {"password", CONF_STRING, CONF_SECRET, AT(password), 0, TEXT_MOST, 0, "", "secret", NULL,
     "The user's password."},
    {"token", CONF_STRING, CONF_SECRET, AT(token), 0, 65535, 0, "", "secret", NULL,
     "InfluxDB 2 and 3: an access token that may write (Authorization: Token)."},
    {"ca_file", CONF_STRING, 0, AT(ca_file), 0, PATH_MOST, 0, "", "/etc/flowline/ca.pem", NULL,
     "Certificates (PEM) of those who may sign the backend's. Empty: the system's."},
    {"cert_file", CONF_STRING, 0, AT(cert_file), 0, PATH_MOST, 0, "", "/etc/flowline/client.pem",
     NULL, "This host's own certificate (PEM), where the backend wants one. With key_file."},
    {"key_file", CONF_STRING, 0, AT(key_file), 0, PATH_MOST, 0, "", "/etc/flowline/client.key",
     NULL, "The key of cert_file (PEM, without a passphrase)."},
    {"insecure", CONF_BOOL, 0, AT(insecure), 0, 0, 0, "false", "true", NULL,
     "Take any certificate of the backend: for trying out only, since anyone on the way can then "
     "read and change what is sent."},
    {"proxy", CONF_PROXY, 0, AT(proxy), 0, 4095, 0, "", "http://proxy.example.org:3128", NULL,
     "Send through this proxy: http, https, socks4, socks5 or socks5h. Empty: as http_proxy, "
     "https_proxy and no_proxy of the environment say."},
    {"headers", CONF_HEADER, CONF_LIST, AT(headers), 1, 8191, 32, "", "['X-Scope-OrgID: fleet']",
     NULL,
     "Further headers of each request, or a map {NAME: VALUE}. Their values are never shown."},
    {"gzip", CONF_BOOL, 0, AT(gzip), 0, 0, 0, "true", "false", NULL,
     "Compress what is sent (Content-Encoding: gzip)."},
    {"timeout", CONF_DURATION, 0, AT(timeout_ns), 100 * MS, 10 * MIN, 0, "10s", "30s", NULL,
     "A request that takes so long has failed, and is tried again."},
    {BATCH_POINTS},
    {BATCH_SIZE},
    {BATCH_AGE},
    {"spool", CONF_BOOL, 0, AT(spool), 0, 0, 0, "true", "false", NULL,
     "Keep on disk what cannot be delivered (see spool), and send it later."},
    {NAME},
};

static const struct conf_setting unix_settings[] = {
    {"path", CONF_STRING, CONF_SOME, AT(path), 1, 107, 0, "", "/run/telegraf/flowline.sock", NULL,
     "The socket's path; '@name' is one without a file (abstract, unix(7))."},
    {"type", CONF_ENUM, 0, AT(type), 0, 0, 0, "stream", "datagram", unix_types,
     "stream, or datagram: whole lines in each."},
    {"timeout", CONF_DURATION, 0, AT(timeout_ns), 100 * MS, 10 * MIN, 0, "10s", "30s", NULL,
     "A reader that takes nothing for so long is given up, and connected to again."},
    {"datagram_size", CONF_SIZE, 0, AT(datagram_bytes), 500, 65507, 0, "8192", "64000", NULL,
     "Bytes of one datagram, at most. A line that is longer is lost, and counted."},
    {BATCH_POINTS},
    {BATCH_SIZE},
    {BATCH_AGE},
    {"spool", CONF_BOOL, 0, AT(spool), 0, 0, 0, "true", "false", NULL,
     "Keep on disk what cannot be delivered (see spool), and send it later. A stream only."},
    {NAME},
};

static const struct conf_setting udp_settings[] = {
    {"address", CONF_ADDRESS, CONF_SOME, AT(address), 1, 300, 0, "", "127.0.0.1:8089", NULL,
     "HOST:PORT; an IPv6 address in brackets: '[::1]:8089'."},
    {"datagram_size", CONF_SIZE, 0, AT(datagram_bytes), 500, 65507, 0, "1400", "8192", NULL,
     "Bytes of one datagram, at most; more than the network's packets hold is sent in fragments. "
     "A line that is longer is lost, and counted."},
    {BATCH_POINTS},
    {BATCH_SIZE},
    {BATCH_AGE},
    {NAME},
};

const char *const conf_output_kinds[] = {"stdout", "file", "http", "unix", "udp", NULL};

const char *const conf_output_docs[] = {
    "Standard output: the word stdout will do.",
    "A file. What a full disk has no room for is lost, and counted.",
    "A backend that takes InfluxDB's line protocol over HTTP or HTTPS. What cannot be delivered "
    "is tried again, and kept in the spool.",
    "A unix socket, such as that of Telegraf's socket_listener. What a stream cannot deliver is "
    "kept in the spool.",
    "UDP datagrams, such as for InfluxDB 1's UDP listener or Telegraf's socket_listener. What is "
    "lost on the way nobody notices: prefer http.",
};

const struct conf_group conf_output_groups[] = {
    {stdout_settings, COUNT(stdout_settings)}, {file_settings, COUNT(file_settings)},
    {http_settings, COUNT(http_settings)},     {unix_settings, COUNT(unix_settings)},
    {udp_settings, COUNT(udp_settings)},
};

const struct conf_example conf_output_examples[] = {
    {"InfluxDB 1 (CREATE DATABASE flowline comes first)",
     "outputs:\n"
     "  - http:\n"
     "      url: http://influx.example.org:8086\n"
     "      database: flowline\n"
     "      user: flowline\n"
     "      password_file: /etc/flowline/password\n"},
    {"InfluxDB 2", "outputs:\n"
		   "  - http:\n"
		   "      url: https://influx.example.org:8086\n"
		   "      org: example\n"
		   "      bucket: flowline\n"
		   "      token_file: /etc/flowline/token\n"},
    {"InfluxDB 3 (its database is called bucket here)",
     "outputs:\n"
     "  - http:\n"
     "      url: https://influx.example.org:8181\n"
     "      bucket: flowline\n"
     "      token_file: /etc/flowline/token\n"},
    {"VictoriaMetrics (it keeps numbers only, so that key fields become tags)",
     "points:\n"
     "  key_fields: tag\n"
     "outputs:\n"
     "  - http:\n"
     "      url: http://victoria.example.org:8428\n"},
    {"QuestDB", "outputs:\n"
		"  - http:\n"
		"      url: http://questdb.example.org:9000\n"},
    {"Telegraf, over HTTP (inputs.influxdb_listener; for inputs.http_listener_v2 the url ends in "
     "its "
     "path, /telegraf)",
     "outputs:\n"
     "  - http:\n"
     "      url: http://127.0.0.1:8186\n"},
    {"Telegraf, over a socket (inputs.socket_listener with service_address = "
     "\"unix:///run/telegraf/flowline.sock\" and data_format = \"influx\")",
     "outputs:\n"
     "  - unix:\n"
     "      path: /run/telegraf/flowline.sock\n"},
    {"Datakit", "points:\n"
		"  ip_types: datakit\n"
		"outputs:\n"
		"  - http:\n"
		"      url: http://127.0.0.1:9529/v1/write/network\n"},
    {"Several at once, each with a queue and, where it can, a spool of its own: TLS with "
     "certificates "
     "of one's own, and a file that is rotated",
     "outputs:\n"
     "  - http:\n"
     "      name: main\n"
     "      url: https://influx.example.org:8086\n"
     "      database: flowline\n"
     "      ca_file: /etc/flowline/ca.pem\n"
     "      cert_file: /etc/flowline/client.pem\n"
     "      key_file: /etc/flowline/client.key\n"
     "  - file:\n"
     "      path: /var/log/flowline.line\n"
     "      rotate_size: 100M\n"
     "      rotate_age: 24h\n"},
    {NULL, NULL},
};
