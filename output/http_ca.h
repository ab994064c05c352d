/* http_ca.h - the system's CA certificates, for a libcurl that was not built for this system.
 *
 * libcurl knows one place, chosen when it was built. Distributions differ in it, so a static
 * program has to look.
 */
#ifndef OUTPUT_HTTP_CA_H
#define OUTPUT_HTTP_CA_H

/* Where distributions have them; ends with NULL. */
extern const char *const http_ca_places[];

/* The first of places that can be read, or NULL: file or directory (libcurl's own choice, each may
 * be NULL) is there, or none of places is. */
const char *http_ca_find(const char *file, const char *directory, const char *const places[]);

#endif
