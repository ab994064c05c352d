/* test_http_template.c - flows/http_template.c: paths as well known APIs have them, and what every
 * template promises.
 */
#include "flows/http_template.h"

#include <stdlib.h>

#include "tests/test.h"

struct path_case {
	const char *path, *want; /* want NULL: as it is */
};

/* clang-format off */
static const struct path_case paths[] = {
	/* GitHub-like */
	{"/user/123", "/user/{id}"},
	{"/repos/acme/widget/issues/1347/comments", "/repos/acme/widget/issues/{id}/comments"},
	{"/repos/acme/widget/commits/9fb29c734f9e98adc1f2f3c4629fe487cb93f2dd",
	 "/repos/acme/widget/commits/{id}"},
	{"/repos/acme/widget/git/trees/9fb29c73", "/repos/acme/widget/git/trees/{id}"},
	{"/repos/acme/hello-world/contents/src/main.c", NULL},
	{"/repos/acme/widget/releases/tags/v1.2.3", NULL},
	{"/acme/widget/compare/v1.0...v1.1", NULL},
	{"/orgs/acme/teams/backend-core/members", NULL},
	{"/gists/aa5a315d61ae9438b18d", "/gists/{id}"},
	/* Kubernetes-like */
	{"/api/v1/namespaces/kube-system/pods", NULL},
	{"/api/v1/namespaces/kube-system/pods/coredns-5d78c9869d-k2xzp/log",
	 "/api/v1/namespaces/kube-system/pods/{id}/log"},
	{"/api/v1/namespaces/prod/pods/fluentd-x7k2p", "/api/v1/namespaces/prod/pods/fluentd-{id}"},
	{"/api/v1/namespaces/prod/pods/web-0", NULL},
	{"/apis/apps/v1/namespaces/prod/deployments/web-frontend/scale", NULL},
	{"/apis/autoscaling/v2beta1/horizontalpodautoscalers", NULL},
	{"/apis/rbac.authorization.k8s.io/v1/clusterroles", NULL},
	{"/v2/library/nginx/blobs/sha256:31b3f1ad4ce1f369084d0f959813c51df0ca17d9877d5ee8",
	 "/v2/library/nginx/blobs/{id}"},
	{"/v2/library/nginx/manifests/1.25.3", NULL},
	/* S3-like */
	{"/my-bucket/photos/2024/01/31/IMG_20240131_123456.jpg",
	 "/my-bucket/photos/{id}/{id}/{id}/IMG_{id}_{id}.jpg"},
	{"/my-bucket/backups/db-2024-01-31T02:00:00Z.sql.gz",
	 "/my-bucket/backups/db-{date}.sql.gz"},
	{"/my-bucket/year=2024/month=1/part-00000.parquet",
	 "/my-bucket/year={id}/month={id}/part-{id}.parquet"},
	{"/my-bucket/550e8400-e29b-41d4-a716-446655440000.png", "/my-bucket/{id}.png"},
	{"/my-bucket/user-550E8400-E29B-41D4-A716-446655440000/avatar", "/my-bucket/{id}/avatar"},
	/* Elasticsearch-like */
	{"/logs-2024.01.31/_search", "/logs-{date}/_search"},
	{"/logs-2024.01.31/_doc/AVwXyZ12abCDefGH3kL9", "/logs-{date}/_doc/{id}"},
	{"/.ds-logs-nginx-default-2024.01.31-000001/_bulk",
	 "/.ds-logs-nginx-default-{date}-{id}/_bulk"},
	{"/_cluster/health", NULL},
	/* WordPress-like */
	{"/2024/01/31/hello-world/", "/{id}/{id}/{id}/hello-world/"},
	{"/wp-json/wp/v2/posts/4711", "/wp-json/wp/v2/posts/{id}"},
	{"/wp-content/uploads/2023/11/cat-photo-1024x768.jpg",
	 "/wp-content/uploads/{id}/{id}/cat-photo-1024x768.jpg"},
	{"/wp-includes/js/jquery/jquery-migrate.min.js", NULL},
	{"/wp-login.php", NULL},
	/* bundles and files */
	{"/app.3f9ac2d1.js", "/app.{hash}.js"},
	{"/static/js/main-5KTYFZ2R.js", "/static/js/main-{hash}.js"},
	{"/assets/index-BxT7d9Qz.css", "/assets/index-{hash}.css"},
	{"/jquery-3.6.0.min.js", NULL},
	{"/fonts/inter-v13-latin-regular.woff2", NULL},
	{"/favicon.ico", NULL},
	{"/avatars/12345.png", "/avatars/{id}.png"},
	/* the rest */
	{"/users/jane.doe@example.com/profile", "/users/{email}/profile"},
	{"/users/jane.doe%40example.com", "/users/{email}"},
	{"/@babel/core", NULL},
	{"/npm/react@18.2.0/umd/react.production.min.js", NULL},
	{"/t/eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3",
	 "/t/{id}"},
	{"/watch/dQw4w9WgXcQ", "/watch/{id}"},
	{"/d/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/d/{id}"},
	{"/d/5f3e2a1b9c8d7e6f5a4b3c2d/edit", "/d/{id}/edit"},
	{"/1.1/statuses/user_timeline.json", NULL},
	{"/api/2.0/clusters", NULL},
	{"/getUserProfileSettingsV2", NULL},
	{"/products/iPhone15ProMax", NULL},
	{"/My-Blog-Post-About-iPhone15-Pro", NULL},
	{"/browse/PROJ-1234", "/browse/PROJ-{id}"},
	{"/title/tt0111161/", "/title/{id}/"},
	{"/geo/51.507351,-0.127758", "/geo/{id}"},
	{"/hosts/10.0.0.1/status", "/hosts/{id}/status"},
	{"/odata/Users('abc')/Orders(5)", "/odata/Users('abc')/Orders({id})"},
	{"/reports/2024-01-31", "/reports/{date}"},
	{"/reports/2024-13-31", "/reports/{id}"},
	{"/facade/decade", NULL},
	{"/caf%C3%A9/men\xc3\xbc", NULL},
	{"/dir//double/", NULL},
	{"/", NULL},
	{"*", NULL},
	{"", NULL},
};
/* clang-format on */

static void test_paths(void)
{
	char out[1024];
	size_t i, len;
	bool full;

	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		const char *want = paths[i].want ? paths[i].want : paths[i].path;

		len = http_template(paths[i].path, strlen(paths[i].path), false, out,
				    sizeof(out) - 1, &full);
		out[len] = 0;
		CHECK_STR(out, want);
		CHECK(!full);
	}
}

/* A path that was cut: what is left of its last segment may be the beginning of anything. */
static void test_cut(void)
{
	char out[64];
	bool full;
	size_t len;

	len = http_template("/v1/objects/3f9", 15, true, out, sizeof(out), &full);
	CHECK(len == 16 && !memcmp(out, "/v1/objects/{id}", len));
	len = http_template("/v1/objects/abc", 15, true, out, sizeof(out), &full);
	CHECK(len == 15 && !memcmp(out, "/v1/objects/abc", len));
	len = http_template("/v1/objects/3f9/", 16, true, out, sizeof(out), &full);
	CHECK(len == 16 && !memcmp(out, "/v1/objects/3f9/", len));
}

/* Too little room: ends between characters and outside placeholders. */
static void test_room(void)
{
	static const char path[] = "/\xc3\xa9\xc3\xa9/123/\xe2\x82\xac/x";
	static const char want[] = "/\xc3\xa9\xc3\xa9/{id}/\xe2\x82\xac/x";
	static const size_t lens[] = {0, 1, 1, 3, 3, 5, 6, 6, 6, 6, 10, 11, 11, 11, 14, 15, 16};
	size_t size, len;
	char *out;
	bool full;

	for (size = 0; size < sizeof(lens) / sizeof(lens[0]); size++) {
		out = malloc(size ? size : 1); /* of the exact size, for the sanitizer */
		len = http_template(path, sizeof(path) - 1, false, out, size, &full);
		CHECK_INT(len, lens[size]);
		CHECK(!memcmp(out, want, len));
		CHECK(full == (size < sizeof(want) - 1));
		free(out);
	}
}

/* Ids of a kind, all alike: the share that becomes {id}. */
static size_t count_found(const char *alphabet, size_t len, size_t n)
{
	size_t letters = strlen(alphabet), found = 0, i, k;
	uint32_t seed = 1;
	char path[128] = "/x/", out[128];
	bool full;

	for (i = 0; i < n; i++) {
		for (k = 0; k < len; k++) {
			seed = seed * 1664525 + 1013904223;
			path[3 + k] = alphabet[(seed >> 10) % letters];
		}
		k = http_template(path, 3 + len, false, out, sizeof(out), &full);
		found += k == 7 && !memcmp(out, "/x/{id}", 7);
	}
	return found;
}

static void test_random_ids(void)
{
	static const char base62[] =
	    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

	CHECK_INT(count_found("0123456789", 1, 1000), 1000);
	CHECK_INT(count_found("0123456789", 19, 1000), 1000);
	CHECK(count_found("0123456789abcdef", 8, 1000) > 970);
	CHECK(count_found("0123456789abcdef", 24, 1000) >= 999);
	CHECK_INT(count_found("0123456789ABCDEF", 40, 1000), 1000);
	CHECK(count_found(base62, 22, 1000) > 900);
	CHECK(count_found(base62, 64, 1000) > 990);
	CHECK(count_found("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 26, 1000) > 900);
}

TEST_MAIN({"paths", test_paths}, {"cut", test_cut}, {"room", test_room},
	  {"random ids", test_random_ids})
