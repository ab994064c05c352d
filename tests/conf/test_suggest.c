/* test_suggest.c - what a mistyped word is taken for, and what is left alone. */
#include "conf/suggest.h"

#include "tests/test.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct suggest_case {
	const char *word, *want;
};

static void check(const struct suggest_case *cases, size_t n, const char *const *words,
		  size_t nwords)
{
	size_t i;

	for (i = 0; i < n; i++) {
		const char *got = did_you_mean(cases[i].word, words, nwords);

		CHECK_MSG(got == cases[i].want ||
			      (got && cases[i].want && !strcmp(got, cases[i].want)),
			  "%s: got %s", cases[i].word, got ? got : "(none)");
	}
}

static void test_words(void)
{
	static const char *const words[] = {"read", "run", "filters"};
	static const struct suggest_case cases[] = {
	    {"raed", "read"},
	    {"rea", "read"},
	    {"reda", "read"},
	    {"rum", "run"},
	    {"filtres", "filters"},
	    {"fltrs", "filters"},
	    {"xyz", NULL},
	    {"", NULL},
	    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL},
	};

	check(cases, COUNT(cases), words, COUNT(words));
}

static void test_parts(void)
{
	static const char *const words[] = {"max_flows", "tcp_idle_timeout", "udp_idle_timeout",
					    "dns.ports"};
	static const struct suggest_case cases[] = {
	    {"idle_timout", "tcp_idle_timeout"},
	    {"udp_idle_timout", "udp_idle_timeout"},
	    {"flows", "max_flows"},
	    {"ports", "dns.ports"},
	    {"dns_ports", "dns.ports"},
	    {"db", NULL},
	};

	check(cases, COUNT(cases), words, COUNT(words));
}

TEST_MAIN({"words", test_words}, {"parts of words", test_parts})
