/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tunnels.c - which tunnels the node has, and when paths go over from one backend to another
 *
 * Room: reconcile.
 *
 * Make before break, without asking anybody: nodes hear of a change within moments of each other, not
 * at once.  So when the backend of a Network changes, each node first makes the devices that the new
 * one needs, by which it can receive, and goes on sending as before; after SWITCH_MS it sends by the new
 * one, or at once where nothing led anywhere before.  A device that no path needs any more stays for
 * LINGER_MS, for those who still send by it.
 */
#include "inner.h"
#include "services.h"

#include <errno.h>
#include <netd/base/log.h>

#define SWITCH_MS       2000
#define LINGER_MS       60000

/** A Network whose paths are still those of another backend. */
struct turn {
	struct turn *next;
	enum network_backend from;
	uint64_t until;             /* monotonic us */
	char network[];
};

enum network_backend tunnels_backend(const struct reconcile *rec, const struct network *net)
{
	for (const struct turn *turn = rec->turns; turn; turn = turn->next)
		if (strcmp(turn->network, net->meta.name) == 0)
			return turn->from;
	return net->backend;
}

static void arm(struct reconcile *rec)
{
	uint64_t now = now_monotonic_us(), at = UINT64_MAX;

	for (const struct turn *turn = rec->turns; turn; turn = turn->next)
		at = turn->until < at ? turn->until : at;
	for (unsigned i = 0; i < COMPILE_TUNNELS; i++)
		if (rec->linger[i] && rec->linger[i] < at)
			at = rec->linger[i];
	loop_timer_set(rec->turn_timer, at == UINT64_MAX ? -1 : at <= now ? 0 :
		       (int64_t)((at - now + 999) / 1000));
}

void tunnels_turn(struct reconcile *rec, const struct network *old, const struct network *now)
{
	size_t len = strlen(now->meta.name) + 1;
	struct turn *turn = rec->turns;

	if (old->backend == now->backend || !paths_stand(rec))
		return;
	while (turn && strcmp(turn->network, now->meta.name) != 0)
		turn = turn->next;
	if (!turn) {
		turn = calloc(1, sizeof(*turn) + len);
		if (!turn)
			return;         /* then at once */
		turn->from = old->backend;
		memcpy(turn->network, now->meta.name, len);
		turn->next = rec->turns;
		rec->turns = turn;
	}
	turn->until = now_monotonic_us() + SWITCH_MS * 1000u;
	arm(rec);
}

void tunnels_need(struct reconcile *rec, struct scope *scope, unsigned bits)
{
	unsigned changed = scope->tunnels ^ bits;

	for (unsigned i = 0; i < COMPILE_TUNNELS; i++) {
		unsigned bit = 1u << i;

		if (changed & bit)
			rec->users[i] += bits & bit ? 1 : (size_t)-1;
		if (rec->users[i])
			rec->tunnels_wanted |= bit;
		else
			rec->tunnels_wanted &= ~bit;
	}
	scope->tunnels = (uint8_t)bits;
}

void tunnels_count(struct reconcile *rec, struct scope *scope, const struct object *obj)
{
	struct compile_input in;

	want_input(rec, &in);
	tunnels_need(rec, scope, paths_tunnels(rec, &in, obj));
}

static bool is_udp(unsigned i)
{
	return (1u << i) & (COMPILE_UDP4 | COMPILE_UDP6);
}

/* When the device is there it is tried again: until then there is nothing to tell. */
static void carried(struct reconcile *rec, unsigned i, int rc)
{
	const char *name = compile_tunnel_names[i];
	const struct object *node;

	rc = rc == -ENODEV ? 0 : rc;
	if (rec->carry_rc[i] == rc)
		return;
	rec->carry_rc[i] = rc;
	rec->paths_due = true;
	if (!rc)
		return;
	log_event(LOG_LEVEL_WARNING, "tunnel_not_carried", "name=%s err=\"%s\"", name, carry_why(rc));
	node = state_get(rec->conf.state, &kinds[KIND_NODE], "", rec->node->node_name);
	if (node)
		control_event(rec->conf.control, node, "Warning", "TunnelNotCarried", "%s: %s", name,
			      carry_why(rc));
}

void tunnels_fast(const struct reconcile *rec, bool ret[2])
{
	for (unsigned i = 0; i < COMPILE_TUNNELS; i++)
		if (rec->carried & 1u << i && ports_tunnel_fast(rec->services->ports, compile_tunnel_names[i]))
			ret[i & 1] = true;
}

const char *tunnels_missing(const struct reconcile *rec, const char **why)
{
	for (unsigned i = 0; i < COMPILE_TUNNELS; i++) {
		if (!(rec->tunnels_wanted & 1u << i) || !rec->carry_rc[i])
			continue;
		*why = carry_why(rec->carry_rc[i]);
		return compile_tunnel_names[i];
	}
	return NULL;
}

void tunnels_carry(struct reconcile *rec)
{
	bool fast[2] = { false };

	rec->carry_due = false;
	for (unsigned i = 0; i < COMPILE_TUNNELS; i++) {
		unsigned bit = 1u << i;

		if (!is_udp(i) || !((rec->tunnels | rec->carried) & bit))
			continue;
		if (!(rec->tunnels & bit)) {
			ports_tunnel_drop(rec->services->ports, compile_tunnel_names[i]);
			rec->carried &= ~bit;
			carried(rec, i, 0);
			continue;
		}
		carried(rec, i, paths_carry(rec, i));
		rec->carried |= bit;
	}
	tunnels_fast(rec, fast);
	rec->paths_due |= memcmp(fast, rec->fast, sizeof(fast)) != 0;
	memcpy(rec->fast, fast, sizeof(fast));
}

void tunnels_changed(struct reconcile *rec, const char *name)
{
	for (unsigned i = 0; i < COMPILE_TUNNELS; i++)
		rec->carry_due |= is_udp(i) && strcmp(compile_tunnel_names[i], name) == 0;
}

/* Nothing else that the node is made of is of a kind that a kernel may lack. */
void tunnels_refused(struct reconcile *rec, int code)
{
	if (code != -EOPNOTSUPP || !rec->tunnels || rec->no_vxlan)
		return;
	rec->no_vxlan = true;
	paths_mark(rec);
}

/* What is not needed any more is kept for a while. */
static unsigned linger(struct reconcile *rec)
{
	uint64_t now = now_monotonic_us();
	unsigned bits = rec->tunnels_wanted;

	for (unsigned i = 0; i < COMPILE_TUNNELS; i++) {
		unsigned bit = 1u << i;

		if (bits & bit || !(rec->tunnels & bit) || (rec->no_vxlan && !is_udp(i))) {
			rec->linger[i] = 0;
			continue;
		}
		if (!rec->linger[i])
			rec->linger[i] = now + LINGER_MS * 1000u;
		if (rec->linger[i] > now)
			bits |= bit;
		else
			rec->linger[i] = 0;
	}
	return bits;
}

void tunnels_settle(struct reconcile *rec)
{
	unsigned bits = linger(rec);
	struct scope *node = scope_find(rec, NODE_SCOPE);

	arm(rec);
	if (bits == rec->tunnels)
		return;
	rec->tunnels = bits;
	early_drop(rec);
	if (node)
		reconcile_mark(rec, node, MARK_URGENT);
	reconcile_mark_all(rec, 0);     /* the MTU of links may be another one */
}

void tunnels_due(void *arg)
{
	struct reconcile *rec = arg;
	uint64_t now = now_monotonic_us();
	struct turn **at = &rec->turns;
	bool turned = false;

	while (*at) {
		struct turn *turn = *at;

		if (turn->until > now) {
			at = &turn->next;
			continue;
		}
		*at = turn->next;
		free(turn);
		turned = true;
	}
	if (turned)
		paths_mark(rec);
	else
		tunnels_settle(rec);
}

void tunnels_free(struct reconcile *rec)
{
	while (rec->turns) {
		struct turn *turn = rec->turns;

		rec->turns = turn->next;
		free(turn);
	}
	loop_timer_free(rec->turn_timer);
}
