/* completion.c - `flowline --print-completion`: the completion for bash, made of the tables of
 * options (options.c) and settings (conf/schema.c), so that it knows what the program knows.
 *
 * It uses nothing but bash (4 or newer), neither the bash-completion package's functions nor
 * flowline itself. Bash takes = and : for ends of words, see COMP_WORDBREAKS in bash(1).
 */
#include "collector/commands.h"

#include <stdio.h>
#include <string.h>

#include "conf/schema.h"

static const char head[] =
    "# bash completion for flowline\n"
    "# shellcheck shell=bash\n"
    "# Written by 'flowline --print-completion': not to be changed by hand.\n"
    "\n";

/* What the rest is about: $1 is the option that wants a value. */
static const char middle[] =
    "_flowline_words()\n"
    "{\n"
    "\tmapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$cur\")\n"
    "}\n"
    "\n"
    "_flowline_files()\n"
    "{\n"
    "\tcompopt -o filenames 2>/dev/null\n"
    "\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
    "}\n"
    "\n"
    "_flowline_value()\n"
    "{\n"
    "\tlocal words\n"
    "\n"
    "\twords=$(_flowline_wants \"$1\")\n"
    "\tcase $words in\n"
    "\tFILE) _flowline_files ;;\n"
    "\tIFACE) _flowline_words \"$(cd /sys/class/net 2>/dev/null && echo *)\" ;;\n"
    "\tSET)\n"
    "\t\tcompopt -o nospace 2>/dev/null\n"
    "\t\t_flowline_words \"$(_flowline_settings)\" ;;\n"
    "\tOUTPUT)\n"
    "\t\tcompopt -o nospace 2>/dev/null\n"
    "\t\t_flowline_words '- file: http:// https:// unix: unixgram: udp:' ;;\n"
    "\t*) _flowline_words \"$words\" ;;\n"
    "\tesac\n"
    "}\n"
    "\n"
    "_flowline()\n"
    "{\n"
    "\tlocal cur=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} at=$((COMP_CWORD - 1))\n"
    "\tlocal before=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "\n"
    "\tCOMPREPLY=()\n"
    "\tif [ \"$COMP_CWORD\" = 1 ]; then\n"
    "\t\t_flowline_words \"$(_flowline_commands)\"\n"
    "\t\treturn\n"
    "\tfi\n"
    "\t# what = or : is behind, or the cursor is behind one of them\n"
    "\tif [ \"$cur\" = = ] || [ \"$cur\" = : ]; then\n"
    "\t\tbefore=$cur at=$COMP_CWORD cur=\n"
    "\tfi\n"
    "\tif [ \"$before\" = : ]; then\n"
    "\t\tcase ${COMP_WORDS[at - 1]} in\n"
    "\t\tfile|unix|unixgram) _flowline_files ;;\n"
    "\t\tesac\n"
    "\t\treturn\n"
    "\tfi\n"
    "\tif [ \"$before\" = = ]; then\n"
    "\t\tbefore=${COMP_WORDS[at - 1]}\n"
    "\t\tcase $before in\n"
    "\t\t-*) ;;\n"
    "\t\t*)\n"
    "\t\t\t_flowline_words \"$(_flowline_setting_words \"$before\")\"\n"
    "\t\t\treturn ;;\n"
    "\t\tesac\n"
    "\tfi\n"
    "\tif [ -n \"$(_flowline_wants \"$before\")\" ]; then\n"
    "\t\t_flowline_value \"$before\"\n"
    "\telif [ \"${cur:0:1}\" = - ]; then\n"
    "\t\t_flowline_words \"$(_flowline_options \"$command\")\"\n"
    "\telse\n"
    "\t\tcase $command in\n"
    "\t\tread|check-config) _flowline_files ;;\n"
    "\t\thelp) _flowline_words \"$(_flowline_commands)\" ;;\n"
    "\t\t*) _flowline_words \"$(_flowline_options \"$command\")\" ;;\n"
    "\t\tesac\n"
    "\tfi\n"
    "}\n"
    "\n"
    "complete -F _flowline flowline\n";

static void print_commands(void)
{
	const char *name;
	unsigned int i;

	fputs("_flowline_commands()\n{\n\techo '", stdout);
	for (i = 0; (name = command_name(1U << i)) != NULL; i++)
		printf("%s ", name);
	puts("--help --version --print-default-config'\n}\n");
}

static void print_options_of(unsigned int command)
{
	const struct option_spec *specs;
	size_t n, i, any = 0;

	specs = option_specs(&n);
	for (i = 0; i < n; i++) {
		if (!(specs[i].commands & command))
			continue;
		if (!any++)
			printf("\t%s) echo '", command_name(command));
		else
			putchar(' ');
		printf("--%s", specs[i].name);
		if (specs[i].letter)
			printf(" -%c", specs[i].letter);
	}
	if (any)
		puts("' ;;");
}

static void print_options(void)
{
	unsigned int i;

	puts("_flowline_options()\n{\n\tcase $1 in");
	for (i = 0; command_name(1U << i); i++)
		print_options_of(1U << i);
	puts("\tesac\n}\n");
}

/* "" where nothing can be said but that it takes a value. */
static void print_words(const struct conf_setting *s)
{
	static const char *const booleans[] = {"true", "false", NULL};
	const char *const *words = s ? s->words : NULL;
	size_t i;

	if (s && s->type == CONF_BOOL)
		words = booleans;
	for (i = 0; words && words[i]; i++)
		printf("%s%s", i ? " " : "", words[i]);
}

static void print_wants_of(const struct option_spec *spec)
{
	const struct conf_setting *s =
	    spec->setting ? conf_setting_find(&conf_schema, spec->setting) : NULL;

	printf("\t--%s", spec->name);
	if (spec->letter)
		printf("|-%c", spec->letter);
	fputs(") echo ", stdout);
	if (!strcmp(spec->arg, "FILE") || !strcmp(spec->arg, "PATH"))
		fputs("FILE", stdout);
	else if (!strcmp(spec->arg, "PATH=VALUE"))
		fputs("SET", stdout);
	else if (!strcmp(spec->arg, "IFACE") || !strcmp(spec->arg, "OUTPUT"))
		fputs(spec->arg, stdout);
	else if (s && s->words) {
		putchar('\'');
		print_words(s);
		putchar('\'');
	} else {
		fputs("' '", stdout); /* no guess, but a value */
	}
	puts(" ;;");
}

static void print_wants(void)
{
	const struct option_spec *specs;
	size_t n, i;

	puts("# What an option's value is; nothing: it has none.\n_flowline_wants()\n{\n\tcase $1 "
	     "in");
	specs = option_specs(&n);
	for (i = 0; i < n; i++)
		if (specs[i].arg)
			print_wants_of(&specs[i]);
	puts("\tesac\n}\n");
}

static void print_settings(void)
{
	size_t i;

	puts("_flowline_settings()\n{\n\techo '");
	for (i = 0; i < conf_schema.n; i++)
		printf("%s=\n", conf_schema.settings[i].path);
	puts("'\n}\n\n_flowline_setting_words()\n{\n\tcase $1 in");
	for (i = 0; i < conf_schema.n; i++) {
		const struct conf_setting *s = &conf_schema.settings[i];

		if (!s->words && s->type != CONF_BOOL)
			continue;
		printf("\t%s) echo '", s->path);
		print_words(s);
		puts("' ;;");
	}
	puts("\tesac\n}\n");
}

void completion_print(void)
{
	fputs(head, stdout);
	print_commands();
	print_options();
	print_wants();
	print_settings();
	fputs(middle, stdout);
}
