/* help.c - the texts of --help and --version. Options come from the table in options.c. */
#include "collector/commands.h"

#include <pcap/pcap.h>
#include <stdio.h>
#include <string.h>

#include "collector/options.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "(version unknown)"
#endif

enum { HELP_COLUMN = 26 };

static const char program_help[] =
    "usage: flowline COMMAND [OPTION]...\n"
    "\n"
    "Watches what a host sends and receives and writes netflow, dnsflow and httpflow\n"
    "points in InfluxDB line protocol.\n"
    "\n"
    "Commands:\n"
    "  read FILE...   points of capture files (pcap, pcapng; - is standard input)\n"
    "  run            points of live traffic\n"
    "  status         how the running 'flowline run' is doing\n"
    "  doctor         what works on this host, what does not, and what would mend it\n"
    "  filters        show the programs that run inside the kernel\n"
    "  check-config FILE...  tell what is wrong with configuration files\n"
    "  help COMMAND   options and examples of a command (also: COMMAND --help)\n"
    "  version        version and libraries (also: --version)\n"
    "\n"
    "Examples:\n"
    "  flowline read trace.pcap                  points of a capture\n"
    "  sudo flowline run --interval 10s          all interfaces, points every 10 s\n"
    "  sudo flowline run -i eth0 --duration 1m   one interface, one minute\n"
    "  sudo flowline run -o http://influx:8086   to a backend (InfluxDB and others)\n"
    "  flowline status                           rates, drops, outputs, top talkers\n"
    "  sudo flowline doctor                      which tiers work here, and why not\n"
    "  flowline --print-default-config           every setting of flowline.yaml(5)\n"
    "  flowline check-config flowline.yaml       all mistakes, with line and column\n"
    "\n"
    "Exit status: 0 all well, 1 something failed at run time, 2 wrong usage\n"
    "or configuration.\n";

static const char read_head[] =
    "usage: flowline read [OPTION]... FILE...\n"
    "\n"
    "Reads pcap and pcapng files and writes their points. Several files are read in the\n"
    "order given, as one stream: the parts of a rotated capture. The same files give the\n"
    "same bytes on every run. - reads standard input.\n";

static const char read_tail[] =
    "\n"
    "Examples:\n"
    "  flowline read trace.pcap\n"
    "      points on standard output, cycles of one minute\n"
    "  flowline read --local 10.0.0.0/8,fd00::/8 --interval 10s part1.pcap part2.pcap\n"
    "      src is the side in 10.0.0.0/8 or fd00::/8\n"
    "  sudo tcpdump -i eth0 -w - | flowline read --stats -\n"
    "      from a pipe, and what was seen as a table at the end\n"
    "  zcat trace.pcap.gz | flowline read -o file:points.line -\n"
    "      a compressed capture, points into a file\n"
    "  flowline read -o 'http://127.0.0.1:8086/write?db=flowline' trace.pcap\n"
    "      into a database of InfluxDB\n";

static const char run_head[] =
    "usage: flowline run [OPTION]...\n"
    "\n"
    "Watches live traffic and writes its points at the end of each cycle. Without -i: all\n"
    "interfaces that are up, and those that come up later. SIGINT and SIGTERM end it: the\n"
    "last cycle is written, the exit status is 0.\n"
    "\n"
    "Needs CAP_NET_RAW: run it as root, or once\n"
    "  sudo setcap cap_net_raw+ep \"$(command -v flowline)\"\n";

static const char run_tail[] =
    "\n"
    "Examples:\n"
    "  sudo flowline run\n"
    "      all interfaces, points every minute on standard output\n"
    "  sudo flowline run -i eth0 -i wg0 --interval 10s -o file:/var/log/flowline.line\n"
    "      two interfaces, points every ten seconds into a file\n"
    "  sudo flowline run -o http://victoria:8428 -o unix:/run/telegraf/flowline.sock\n"
    "      to two backends; passwords and tokens stand in flowline.yaml(5)\n"
    "  sudo flowline run --duration 10s --interval 5s --stats\n"
    "      ten seconds, then a table of what was seen and lost\n"
    "  sudo flowline run --tag env=prod --tag rack=r12 --dns-ports 53,5300\n"
    "      two tags on every point; DNS on another port too\n";

static const char filters_head[] =
    "usage: flowline filters [OPTION]...\n"
    "\n"
    "Prints each program that flowline loads into the kernel, as readable assembly and as\n"
    "the numbers of tcpdump -ddd: 'flow' reads the packets, 'narrow' does while the kernel's\n"
    "own figures count the TCP of this host's addresses, 'syn' sees new connections.\n"
    "Needs no permission and loads nothing.\n";

static const char filters_tail[] =
    "\n"
    "Examples:\n"
    "  flowline filters\n"
    "  flowline filters --dns-ports 53,5300 --tunnels inner\n"
    "      the programs that 'flowline run' would load with these options\n";

static const char status_head[] =
    "usage: flowline status [OPTION]...\n"
    "\n"
    "Asks the running 'flowline run' how it is doing and prints its state, rates, drops by\n"
    "cause, outputs and how far behind they are, the spool and the top talkers.\n"
    "Where it asks: --socket, else status.socket of the configuration, which is read as\n"
    "'flowline run' reads it.\n";

static const char status_tail[] = "\n"
				  "Examples:\n"
				  "  flowline status\n"
				  "  flowline status --json\n"
				  "      the same for programs\n"
				  "  flowline status --socket /run/flowline-2/status.sock\n"
				  "      of another one\n";

static const char doctor_head[] =
    "usage: flowline doctor [OPTION]...\n"
    "\n"
    "Tries on this host what 'flowline run' would use, and prints one page: the kernel and what\n"
    "this process may, the packet, the socket and the probe tier, piece by piece by which means,\n"
    "or why not, which tier a run would take, and commands that mend what is missing. It opens\n"
    "everything for real, some connections on loopback among it, and leaves nothing behind.\n"
    "Exit status: 0 the packet tier works, 1 it does not.\n";

static const char doctor_tail[] = "\n"
				  "Examples:\n"
				  "  sudo flowline doctor\n"
				  "  sudo flowline doctor -v\n"
				  "      also what was tried before, and what the verifier says\n"
				  "  sudo flowline doctor --json -c flowline.yaml\n"
				  "      for programs, with another configuration\n";

static const char check_head[] =
    "usage: flowline check-config [FILE]...\n"
    "\n"
    "Reads configuration files as 'flowline run' would and tells all that is wrong with them,\n"
    "as FILE:LINE:COLUMN: MESSAGE on standard error. Without FILE: " CONF_DEFAULT_FILE ".\n"
    "Exit status: 0 all are right, 2 one is not.\n";

static const char check_tail[] = "\n"
				 "Example:\n"
				 "  flowline check-config flowline.yaml\n";

static void print_option(const struct option_spec *s)
{
	char left[64];
	const char *text = s->help, *end;
	int n;

	if (s->letter)
		n = snprintf(left, sizeof(left), "  -%c, --%s%s%s", s->letter, s->name,
			     s->arg ? "=" : "", s->arg ? s->arg : "");
	else
		n = snprintf(left, sizeof(left), "      --%s%s%s", s->name, s->arg ? "=" : "",
			     s->arg ? s->arg : "");
	fputs(left, stdout);
	if (n >= HELP_COLUMN)
		printf("\n%*s", HELP_COLUMN, "");
	else
		printf("%*s", HELP_COLUMN - n, "");
	for (; (end = strchr(text, '\n')) != NULL; text = end + 1)
		printf("%.*s\n%*s", (int)(end - text), text, HELP_COLUMN, "");
	puts(text);
}

static void print_options(unsigned int command)
{
	const struct option_spec *specs;
	size_t n, i;

	puts("\nOptions:");
	specs = option_specs(&n);
	for (i = 0; i < n; i++)
		if (specs[i].commands & command)
			print_option(&specs[i]);
	if (command & (COMMAND_READ | COMMAND_RUN))
		puts("\nTIME is a number and ms, s, m, h or d: 500ms, 10s, 5m, 1h.");
}

void help_print(unsigned int command)
{
	const char *head = program_help, *tail = NULL;

	if (command == COMMAND_READ)
		head = read_head, tail = read_tail;
	else if (command == COMMAND_RUN)
		head = run_head, tail = run_tail;
	else if (command == COMMAND_FILTERS)
		head = filters_head, tail = filters_tail;
	else if (command == COMMAND_CHECK)
		head = check_head, tail = check_tail;
	else if (command == COMMAND_STATUS)
		head = status_head, tail = status_tail;
	else if (command == COMMAND_DOCTOR)
		head = doctor_head, tail = doctor_tail;
	fputs(head, stdout);
	if (!tail)
		return;
	print_options(command);
	fputs(tail, stdout);
}

void help_version(void)
{
	printf("flowline %s\n%s\n", PACKAGE_VERSION, pcap_lib_version());
}
