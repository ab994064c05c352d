/* schema.c - see schema.h. What a setting does to the points is told in docs/points.md. */
#include "conf/schema.h"

#include <string.h>

#define MS  1000000ULL
#define SEC 1000000000ULL
#define MIN (60 * SEC)
#define HR  (3600 * SEC)
#define KIB 1024ULL
#define MIB (1024 * KIB)

#define AT(m)     offsetof(struct conf, m)
#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))
#define LIST_SOME (CONF_LIST | CONF_SOME)

/* In the order of the enums of conf.h. */
static const char *const modes[] = {"auto", "packet", "socket", "probe", NULL};
static const char *const narrow[] = {"auto", "always", "never", NULL};
static const char *const count_udp[] = {"auto", "never", NULL};
static const char *const tunnels[] = {"inner", "outer", NULL};
static const char *const paths[] = {"raw", "template", "off", NULL};
static const char *const key_fields[] = {"field", "tag", NULL};
static const char *const ip_types[] = {"iana", "datakit", NULL};
static const char *const levels[] = {"error", "warn", "info", "debug", NULL};

/* Tags of flowline's points, and the key fields that points.key_fields makes tags. */
static const char *const tag_names[] = {"host",
					"source",
					"src_ip",
					"dst_ip",
					"src_port",
					"dst_port",
					"src_ip_type",
					"dst_ip_type",
					"transport",
					"family",
					"direction",
					"sub_source",
					"src_country",
					"dst_country",
					"src_province",
					"dst_province",
					"src_city",
					"dst_city",
					"src_isp",
					"dst_isp",
					"src_asn",
					"dst_asn",
					"src_k8s_namespace",
					"dst_k8s_namespace",
					"src_k8s_deployment_name",
					"dst_k8s_deployment_name",
					"src_k8s_service_name",
					"dst_k8s_service_name",
					"src_k8s_pod_name",
					"dst_k8s_pod_name",
					"pid",
					"process_name",
					"container_id",
					"dst_domain",
					"rcode",
					"domain",
					"query_type",
					"method",
					"path",
					"status_code",
					"http_version",
					NULL};

static const struct conf_setting settings[] = {
    {"host", CONF_STRING, 0, AT(host), 0, CONF_HOST_MOST, 0, "", "web1.example.org", NULL,
     "The tag host of every point. Empty: this machine's name."},
    {"tags", CONF_TAG, CONF_LIST, AT(tags), 0, 0, CONF_TAGS_MOST, "", "{env: prod, rack: r12}",
     NULL, "Tags that are added to every point."},
    {"local", CONF_NET, CONF_LIST, AT(local), 0, 0, CONF_NETS_MOST, "", "[10.0.0.0/8, fd00::/8]",
     NULL,
     "Networks that count as local: their side of a flow is src. This host's own addresses are "
     "always local when live traffic is watched."},
    {"interval", CONF_DURATION, 0, AT(interval_ns), SEC, 24 * HR, 0, "60s", "10s", NULL,
     "Length of a cycle: points are written at its end."},

    {"capture.mode", CONF_ENUM, CONF_RESTART, AT(capture.mode), 0, 0, 0, "auto", "packet", modes,
     "How traffic is watched. packet reads the headers of all packets; socket takes TCP's numbers "
     "from the kernel's sockets (sock_diag) and reads few TCP packets; probe also has eBPF probes "
     "say who connects and why it failed. auto takes the best that works here, and so does a mode "
     "that cannot be had: flowline doctor tells why."},
    {"capture.interfaces", CONF_IFACE, CONF_LIST, AT(capture.interfaces), 0, 0, CONF_IFACES_MOST,
     "", "[eth*, wg0, '!eth9']", NULL,
     "Interfaces to watch, as patterns; one that begins with ! excludes, and wants quotes. With "
     "exclusions only, all others are watched. Empty: all."},
    {"capture.exclude", CONF_EXCLUDE, CONF_LIST, AT(capture.exclude), 0, 0, 64, "",
     "[{port: 22}, {cidr: 10.9.0.0/16, port: [80, 443]}, {process: backup}]", NULL,
     "Traffic that is left out. A rule names networks (cidr), ports or processes, each one or a "
     "list; where it names several kinds, all must fit."},
    {"capture.ring_size", CONF_SIZE, CONF_RESTART, AT(capture.ring_bytes), 512 * KIB, 1024 * MIB, 0,
     "4M", "8M", NULL,
     "Memory for packets on the way from the kernel, for each interface named. Bursts need more."},
    {"capture.tunnels", CONF_ENUM, 0, AT(capture.tunnels), 0, 0, 0, "outer", "inner", tunnels,
     "inner looks into VXLAN and Geneve; outer counts them as UDP flows."},

    {"kernel.narrow", CONF_ENUM, CONF_RESTART, AT(kernel.narrow), 0, 0, 0, "auto", "never", narrow,
     "With capture.mode socket or probe: packets that the kernel's own counters make needless are "
     "not read. auto reads all of them on a host that forwards packets, where address translation "
     "hides which connection is whose; always is for a host that forwards but does not translate."},
    {"kernel.count_udp", CONF_ENUM, CONF_RESTART, AT(kernel.count_udp), 0, 0, 0, "auto", "never",
     count_udp,
     "With capture.mode socket or probe: an eBPF filter counts UDP in the kernel and copies only "
     "DNS of it, where bpf(2) is permitted. never copies the headers of all UDP."},
    {"kernel.btf_path", CONF_STRING, CONF_RESTART, AT(kernel.btf_path), 0, 3800, 0, "",
     "/var/lib/flowline/vmlinux.btf", NULL,
     "The kernel's type information for probes, where /sys/kernel/btf/vmlinux is not there."},

    {"flows.max_flows", CONF_COUNT, CONF_AUTO | CONF_RESTART, AT(flows.max_flows), 64, 1 << 24, 0,
     "auto", "262144", NULL,
     "Flows remembered at one time; with more, the least recently seen end early, and are "
     "counted. All memory is taken at start. auto: 262144 live, 1048576 for capture files."},
    {"flows.tcp_idle_timeout", CONF_DURATION, CONF_RESTART, AT(flows.tcp_idle_ns), SEC, 24 * HR, 0,
     "1h", "5m", NULL, "A TCP connection that is silent for so long is forgotten."},
    {"flows.udp_idle_timeout", CONF_DURATION, CONF_RESTART, AT(flows.udp_idle_ns), SEC, 24 * HR, 0,
     "60s", "5m", NULL, "A UDP flow that is silent for so long has ended."},
    {"flows.tcp_attempt_timeout", CONF_DURATION, CONF_RESTART, AT(flows.tcp_attempt_ns), SEC, HR, 0,
     "75s", "30s", NULL, "A TCP handshake that is not complete after so long has failed."},

    {"dns.ports", CONF_PORT, LIST_SOME, AT(dns.ports), 0, 0, CONF_PORTS_MOST, "53", "[53, 5300]",
     NULL, "Ports on which DNS is spoken, over UDP and TCP."},
    {"dns.timeout", CONF_DURATION, 0, AT(dns.timeout_ns), MS, HR, 0, "5s", "2s", NULL,
     "A query without an answer is given up (rcode -1)."},
    {"dns.max_pending", CONF_COUNT, CONF_RESTART, AT(dns.max_pending), 64, 1 << 22, 0, "65536",
     "65536", NULL,
     "Queries that may wait for their answers at one time; with more, the oldest is given up."},

    {"http.timeout", CONF_DURATION, 0, AT(http.timeout_ns), MS, HR, 0, "60s", "30s", NULL,
     "A request without a response is given up (status_code 0)."},
    {"http.max_path", CONF_COUNT, CONF_RESTART, AT(http.max_path), 1, 1024, 0, "150", "150", NULL,
     "Longer paths are cut to so many bytes."},
    {"http.paths", CONF_ENUM, 0, AT(http.paths), 0, 0, 0, "raw", "template", paths,
     "raw: as they were asked for; template: /user/123 becomes /user/{id} (numbers, UUIDs, "
     "hashes, long tokens); off: points have no path."},
    {"http.max_pending", CONF_COUNT, CONF_RESTART, AT(http.max_pending), 64, 1 << 22, 0, "65536",
     "65536", NULL,
     "Requests that may wait for their responses at one time; with more, the oldest is given up."},

    {"points.fold_client_port", CONF_BOOL, 0, AT(points.fold_client_port), 0, 0, 0, "true", "false",
     NULL, "Write a client's port as *, so that its connections become one point."},
    {"points.exclude_tags", CONF_WORD, CONF_LIST, AT(points.exclude_tags), 0, 0, 64, "",
     "[pid, container_id]", tag_names,
     "Tags that are left out. Points that become alike are merged before they are written."},
    {"points.key_fields", CONF_ENUM, 0, AT(points.key_fields), 0, 0, 0, "field", "tag", key_fields,
     "tag writes rcode, domain, method, path ... as tags, for backends that keep labels only "
     "(VictoriaMetrics, Prometheus)."},
    {"points.ip_types", CONF_ENUM, 0, AT(points.ip_types), 0, 0, 0, "iana", "datakit", ip_types,
     "datakit writes the address class other for public, too, for dashboards built on that."},
    {"points.dns.domain", CONF_BOOL, 0, AT(points.dns_domain), 0, 0, 0, "true", "false", NULL,
     "Write the queried name into dnsflow points."},
    {"points.max_series", CONF_COUNT, CONF_AUTO, AT(points.max_series), 100, 10000000, 0, "auto",
     "20000", NULL,
     "Points of one measurement in a cycle. What is over it goes into points marked ~other; "
     "totals stay exact. auto: 100000 live, no limit for capture files."},

    {"geoip.databases", CONF_STRING, CONF_LIST, AT(geoip.databases), 1, 4095, 16, "",
     "[/var/lib/flowline/city.mmdb, /var/lib/flowline/asn.mmdb]", NULL,
     "MaxMind database files (.mmdb): the countries, cities and operators of public addresses. "
     "Read again when they are replaced. Empty: no such tags."},
    {"geoip.language", CONF_STRING, 0, AT(geoip.language), 2, 16, 0, "en", "zh-CN", NULL,
     "Language of city names; where a database does not have it, en."},
    {"geoip.coordinates", CONF_BOOL, 0, AT(geoip.coordinates), 0, 0, 0, "false", "true", NULL,
     "Add the fields dst_lat and dst_lon to netflow points, for maps."},

    {"names.enabled", CONF_BOOL, CONF_RESTART, AT(names.enabled), 0, 0, 0, "true", "false", NULL,
     "Add the tag dst_domain: the name that this host's DNS answers gave an address."},
    {"names.max_entries", CONF_COUNT, CONF_RESTART, AT(names.max_entries), 64, 1 << 22, 0, "65536",
     "65536", NULL, "Names remembered at one time; with more, the least recently used go."},

    {"processes.enabled", CONF_BOOL, CONF_RESTART, AT(processes.enabled), 0, 0, 0, "true", "false",
     NULL, "Add the tags pid, process_name and container_id to flows that end on this host."},
    {"processes.cpu_share", CONF_PERCENT, CONF_RESTART, AT(processes.cpu_percent), 1, 100, 0, "5%",
     "10%", NULL, "At most so much of one CPU is spent on finding processes."},
    {"processes.namespaces", CONF_BOOL, CONF_RESTART, AT(processes.namespaces), 0, 0, 0, "true",
     "false", NULL, "Look into other network namespaces (containers), where that is permitted."},

    {"outputs", CONF_OUTPUT, LIST_SOME, AT(outputs), 0, 0, CONF_OUTPUTS_MOST, "stdout",
     "[{http: {url: 'http://127.0.0.1:8086', database: flowline}}]", NULL,
     "Where points go: one or several, each with a queue and a thread of its own, so that a slow "
     "one holds up no other. Each is stdout, a map {KIND: {SETTING: VALUE}}, or as -o has it: "
     "file:PATH, http://HOST:PORT, https://HOST:PORT, unix:PATH, unixgram:PATH, udp:HOST:PORT. The "
     "kinds are stdout, file, http, unix and udp."},

    {"sending.queue_size", CONF_SIZE, 0, AT(sending.queue_bytes), MIB, 4096 * MIB, 0, "64M", "256M",
     NULL,
     "Memory for points that wait, for each output, taken as it is needed: room for the points of "
     "a cycle, which come at once (500 bytes each). What fills half of it goes to the spool; "
     "without one, the oldest are lost when it is full, and counted."},
    {"sending.retry_min", CONF_DURATION, 0, AT(sending.retry_min_ns), 10 * MS, HR, 0, "1s", "5s",
     NULL,
     "After a failure, the wait before it is tried again: at random up to so long, so that a "
     "fleet does not come back all at once. Doubled with each further failure."},
    {"sending.retry_max", CONF_DURATION, 0, AT(sending.retry_max_ns), 10 * MS, 24 * HR, 0, "60s",
     "5m", NULL, "The longest such wait."},
    {"sending.stop_timeout", CONF_DURATION, 0, AT(sending.stop_timeout_ns), 0, 10 * MIN, 0, "5s",
     "30s", NULL,
     "At the end, so long is taken for what is still to be sent; the rest goes to the spool, or "
     "is lost and counted."},

    {"spool.directory", CONF_STRING, CONF_RESTART, AT(spool.directory), 0, 3800, 0,
     "/var/lib/flowline/spool", "/srv/flowline/spool", NULL,
     "Where it is; each output has a directory in it. Made where it is not there. Empty: no spool, "
     "and what does not fit in memory is lost."},
    {"spool.max_size", CONF_SIZE, 0, AT(spool.max_bytes), MIB, 1024 * 1024 * MIB, 0, "1G", "10G",
     NULL, "Disk space for each output. Over it the oldest points go, and are counted as lost."},
    {"spool.max_age", CONF_DURATION, 0, AT(spool.max_age_ns), 0, 366 * 24 * HR, 0, "72h", "7d",
     NULL, "Older points go, and are counted as lost. 0s: no limit."},
    {"spool.segment_size", CONF_SIZE, 0, AT(spool.segment_bytes), 64 * KIB, 1024 * MIB, 0, "8M",
     "16M", NULL,
     "Size of its files, about; one goes when all that is in it was delivered, or as a whole."},
    {"spool.replay_rate", CONF_COUNT, 0, AT(spool.replay_rate), 0, 10000000, 0, "20000", "100000",
     NULL,
     "Points a second that are sent out of it when the backend is back, beside the live ones. 0: "
     "as fast as it goes."},

    {"log.level", CONF_ENUM, 0, AT(log.level), 0, 0, 0, "info", "debug", levels,
     "How much is said on standard error."},

    {"status.socket", CONF_STRING, CONF_RESTART, AT(status.socket), 0, 107, 0,
     "/run/flowline/status.sock", "/run/flowline-2/status.sock", NULL,
     "A unix socket at which 'flowline status' asks 'flowline run' how it is doing. Empty: none."},
};

const struct conf_group conf_schema = {settings, COUNT(settings)};

static const struct conf_section sections[] = {
    {"capture", "How traffic is watched."},
    {"flows", "Connections and UDP flows."},
    {"dns", "DNS transactions."},
    {"http", "HTTP transactions."},
    {"points", "What the points hold."},
    {"points.dns", "What dnsflow points hold."},
    {"geoip", "Where in the world public addresses are."},
    {"names", "Names of addresses."},
    {"processes", "Which process of this host it was."},
    {"sending", "How points are sent, to every output."},
    {"spool",
     "Points on disk that could not be delivered: of outputs of kind http and of unix streams. "
     "They are sent in order, oldest first, when the backend is back, also after a restart."},
    {"log", "Messages."},
    {"status", "Self-observation."},
};

static const struct conf_setting exclude_settings[] = {
    {"cidr", CONF_NET, CONF_LIST, offsetof(struct conf_exclude, cidr), 0, 0, CONF_NETS_MOST, "",
     "10.9.0.0/16", NULL, "Networks; either side's address is in one."},
    {"port", CONF_PORT, CONF_LIST, offsetof(struct conf_exclude, port), 0, 0, CONF_PORTS_MOST, "",
     "22", NULL, "Ports; either side's is one."},
    {"process", CONF_STRING, CONF_LIST, offsetof(struct conf_exclude, process), 1, 255, 64, "",
     "backup", NULL, "Names of processes."},
};

const struct conf_group conf_exclude_group = {exclude_settings, COUNT(exclude_settings)};

const struct conf_section *conf_section_find(const char *path)
{
	size_t i;

	for (i = 0; i < COUNT(sections); i++)
		if (!strcmp(sections[i].path, path))
			return &sections[i];
	return NULL;
}

const struct conf_setting *conf_setting_find(const struct conf_group *g, const char *path)
{
	size_t i;

	for (i = 0; i < g->n; i++)
		if (!strcmp(g->settings[i].path, path))
			return &g->settings[i];
	return NULL;
}

bool conf_setting_restarts(const struct conf_setting *s)
{
	return s->flags & CONF_RESTART;
}
