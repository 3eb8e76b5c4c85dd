/* view.pml - Spin model of view + follow, at the level of messages: is the list that a consumer puts
 * together from slots and ring exactly the list at one position, whatever the writer does meanwhile,
 * and does it end when the writer dies at any step?
 *
 * One writer: single changes, one batch of two, one bulk (RESET; slots without entries), each in its
 * steps W1, W4, W5, W6, and a crash before any of them. One consumer: scans the slots one by one,
 * replays the ring in between (client/scan.h), drains until commit has reached everything that
 * it has seen, and then follows. hist is the truth: the list at each position.
 *
 * MUTANT (must be found, all but 0): 1 the consumer does not look at head, 2 it does not wait for
 * commit to reach the newest slot it saw, 3 it takes its position after the scan, 4 it
 * applies no entry below the scan position, 5 it takes RESET for nothing, 6 the writer commits in
 * the middle of a batch, 7 the writer moves head too late, 8 the consumer waits for a dead writer. */
#ifndef MUTANT
#define MUTANT 0
#endif
#define KEYS 3
#define RING 2
#define LAST 7  /* changes */
#define BATCH 3 /* changes 3 and 4 are one batch */
#define BULK 5  /* RESET at 5, SYNCED at 6 */
#define RESET 254
#define SYNCED 255

byte slot_seq[KEYS]; /* the value of a key is the change that wrote it */
byte ring_seq[RING];
byte ring_key[RING]; /* or RESET, SYNCED */
byte commit, head = 1;
bool dead, finished;
byte history[24];    /* history[position * KEYS + key]; (LAST + 1) * KEYS */
bool whole[LAST + 1]; /* positions that may be seen: not inside a batch */

#define KEY_OF(p) ((p * 2 + p / 3) % KEYS)

/* The truth about the n changes that come next. */
inline tell_history()
{
	d_step {
		p = next;
		do
		:: p < next + n ->
			k = 0;
			do
			:: k < KEYS ->
				if
				:: next == BULK -> history[p * KEYS + k] = BULK
				:: next != BULK && k == KEY_OF(p) -> history[p * KEYS + k] = p
				:: else -> history[p * KEYS + k] = history[(p - 1) * KEYS + k]
				fi;
				k++
			:: else -> break
			od;
			p++
		:: else -> break
		od;
		whole[next + n - 1] = true;
		p = 0;
		k = 0
	}
}

inline entry(seq, key) /* W5: seq last */
{
	ring_key[(seq) % RING] = key;
	ring_seq[(seq) % RING] = seq
}

proctype writer()
{
	byte next = 1, n, k, p;
	{
		do
		:: next <= LAST ->
			if
			:: next == BATCH || next == BULK -> n = 2
			:: else -> n = 1
			fi;
			tell_history();
			if /* W1 */
			:: next + n > RING + 1 && MUTANT != 7 -> head = next + n - RING
			:: else -> skip
			fi;
			if
			:: next == BULK ->
				k = 0;
				do
				:: k < KEYS -> slot_seq[k] = BULK; k++ /* W4 */
				:: else -> break
				od;
				entry(next, RESET);
				entry(next + 1, SYNCED)
			:: else ->
				p = next;
				do
				:: p < next + n ->
					slot_seq[KEY_OF(p)] = p; /* W4 */
					entry(p, KEY_OF(p));
					if
					:: MUTANT == 6 -> commit = p
					:: else -> skip
					fi;
					p++
				:: else -> break
				od;
				p = 0
			fi;
			commit = next + n - 1; /* W6 */
			if
			:: MUTANT == 7 && next + n > RING + 1 -> head = next + n - RING
			:: else -> skip
			fi;
			next = next + n
		:: else -> break
		od
	} unless { dead };
	finished = true
}

/* Kills the writer anywhere, or nowhere. */
active proctype killer()
{
	if
	:: dead = true
	:: true
	fi
}

/* R5, after s and key of entry p were read */
#define LOST (MUTANT != 1 && (s != p || head > p))

inline check_list()
{
	assert(whole[p]);
	k = 0;
	do
	:: k < KEYS -> assert(mine[k] == history[p * KEYS + k]); k++
	:: else -> break
	od
}

proctype consumer()
{
	byte p, c, k, key, s, newest;
	byte mine[KEYS], seen[KEYS];
again:
	newest = 0;
	p = commit;
	k = 0;
	do
	:: k < KEYS -> /* scan one slot */
		d_step {
			s = slot_seq[k];
			mine[k] = s;
			seen[k] = s;
			if
			:: s > newest -> newest = s
			:: else -> skip
			fi;
			k++
		}
		c = commit;
		do /* replay what happened meanwhile */
		:: p < c ->
			p++;
			s = ring_seq[p % RING];
			key = ring_key[p % RING];
			if
			:: LOST -> goto again
			:: else -> skip
			fi;
			if
			:: key == RESET && MUTANT != 5 -> goto again
			:: key < k && MUTANT != 4 && p > seen[key] ->
				mine[key] = p;
				seen[key] = p
			:: else -> skip
			fi
		:: else -> break
		od
	:: k == KEYS && p < newest && MUTANT != 2 -> /* a batch is under way: it will be committed */
		if
		:: commit > p ->
			c = commit;
			do
			:: p < c ->
				p++;
				s = ring_seq[p % RING];
				key = ring_key[p % RING];
				if
				:: LOST -> goto again
				:: else -> skip
				fi;
				if
				:: key == RESET && MUTANT != 5 -> goto again
				:: key < KEYS && MUTANT != 4 && p > seen[key] ->
					mine[key] = p;
					seen[key] = p
				:: else -> skip
				fi
			:: else -> break
			od
		:: MUTANT != 8 && dead && commit == p -> goto abandoned
		fi
	:: k == KEYS && (p >= newest || MUTANT == 2) -> break
	od;
	if
	:: MUTANT == 3 -> p = commit
	:: else -> skip
	fi;
	check_list();
	do /* follow */
	:: commit > p ->
		c = commit;
		do
		:: p < c ->
			p++;
			s = ring_seq[p % RING];
			key = ring_key[p % RING];
			if
			:: LOST -> goto again
			:: else -> skip
			fi;
			if
			:: key == RESET && MUTANT != 5 -> goto again
			:: key < KEYS -> mine[key] = p
			:: else -> skip
			fi
		:: else -> break
		od;
		check_list()
	:: (finished || dead) && commit == p -> break
	od;
abandoned:
	skip
}

init {
	atomic {
		whole[0] = true;
		run writer();
		run consumer()
	}
}
