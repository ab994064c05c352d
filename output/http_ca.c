/* http_ca.c - see http_ca.h. */
#include "output/http_ca.h"

#include <stddef.h>
#include <unistd.h>

const char *const http_ca_places[] = {
    "/etc/ssl/certs/ca-certificates.crt",                /* Debian, Ubuntu, Alpine, Arch */
    "/etc/pki/tls/certs/ca-bundle.crt",                  /* RHEL, CentOS, Fedora */
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* the same, RHEL 7 and newer */
    "/etc/ssl/ca-bundle.pem",                            /* SUSE */
    "/var/lib/ca-certificates/ca-bundle.pem",
    "/etc/ssl/cert.pem",       /* Alpine without ca-certificates */
    "/etc/pki/tls/cacert.pem", /* OpenELEC */
    NULL,
};

const char *http_ca_find(const char *file, const char *directory, const char *const places[])
{
	if ((file && !access(file, R_OK)) || (directory && !access(directory, R_OK | X_OK)))
		return NULL;
	while (*places && access(*places, R_OK))
		places++;
	return *places;
}
