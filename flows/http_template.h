/* http_template.h - paths without what makes each of them one of a kind: /user/123 becomes
 * /user/{id}.
 *
 * For points whose paths would otherwise be as many as a service has users (http.paths: template).
 *By the look of each segment alone, so that the same path always gives the same template: no state,
 *no allocation, time linear in the path's length.
 *
 *	{id}    numbers (alone, or three digits and more inside a segment), UUIDs, hexadecimal
 *hashes (8 digits and more), long mixed tokens (base64url and the like), IPv4 addresses {date}
 *2024-01-31, 2024.01.31, 2024_01_31, also with a time behind it {email} what looks like an e-mail
 *address {hash}  a hash or token inside the name of a file: app.3f9ac2d1.js is app.{hash}.js
 *
 * Words, versions (v1, v2beta1, 1.2.3), slugs and names of files stay.
 */
#ifndef FLOWS_HTTP_TEMPLATE_H
#define FLOWS_HTTP_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

/* Write the template of a path (without query and fragment) to out, at most size bytes, no final 0;
 * returns its length. cut: the path goes on beyond len, so its last segment is only known in part:
 * one with a digit is {id}. *full: the template did not fit and ends between characters, never
 * inside a placeholder. */
size_t http_template(const char *path, size_t len, bool cut, char *out, size_t size, bool *full);

#endif
