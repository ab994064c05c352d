/* http_date.c - HTTP dates without strptime(3), which depends on the locale; RFC 9110
 * section 5.6.7.
 */
#include "output/http_date.h"

#include <stdio.h>
#include <string.h>

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

/* 1..12; 0: none. */
static int month_number(const char *name)
{
	const char *at;

	if (strlen(name) != 3)
		return 0;
	at = strstr(months, name);
	return at && (at - months) % 3 == 0 ? (int)(at - months) / 3 + 1 : 0;
}

/* Days from 1970-01-01, of the Gregorian calendar. Years begin in March here, so that the day that
 * comes and goes is their last. */
static int64_t days_from_epoch(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year, m = month <= 2 ? month + 9 : month - 3;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

bool http_date_parse(const char *text, uint64_t *seconds)
{
	int day, year, hour, minute, second, month;
	char name[4];
	int64_t at;

	if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT", &day, name, &year,
		   &hour, &minute, &second) != 6 &&
	    sscanf(text, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d", name, &day, &hour, &minute,
		   &second, &year) != 6) {
		if (sscanf(text, "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT", &day, name,
			   &year, &hour, &minute, &second) != 6 ||
		    year < 0)
			return false;
		year += year < 70 ? 2000 : 1900;
	}
	month = month_number(name);
	if (!month || day < 1 || day > 31 || year < 1000 || hour < 0 || hour > 23 || minute < 0 ||
	    minute > 59 || second < 0 || second > 60)
		return false;
	at = days_from_epoch(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
	*seconds = at > 0 ? (uint64_t)at : 0;
	return true;
}
