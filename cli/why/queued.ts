import type { JobRow } from '../../broker/core/state.ts';
import type { AgentFacts, ClassFacts, WhyFacts } from '../../broker/service/why-facts.ts';
import { endOf } from './attempt-end.ts';
import type { Cause } from './causes.ts';
import type { Answer } from './answer.ts';
import { age, count } from './words.ts';

/** Reasons to wait that pass by themselves: of a job that ran before, how that ended says more. */
const PASSING: ReadonlySet<Cause> = new Set<Cause>(['agents-busy', 'agents-silent', 'about-to-start']);

/** A job the broker could lease: why it does not, and how the attempt before ended. */
export function explainQueued(job: JobRow, broker: WhyFacts): Answer {
  const waits = explainWait(broker);
  const last = job.attempts.at(-1);
  if (last === undefined) return waits;
  const end = endOf(last);
  const before = `Attempt ${last.number} ended: ${end.words}.`;
  const cause = PASSING.has(waits.cause) ? end.cause : waits.cause;
  return { ...waits, cause, sentence: `${before} ${waits.sentence}` };
}

function explainWait(broker: WhyFacts): Answer {
  const { connectedAgents, classes, sentAway, matching } = broker;
  if (connectedAgents === 0)
    return sentAway.length > 0
      ? explainSentAway(broker)
      : { cause: 'no-agents', sentence: 'The job waits: no agent is connected.' };
  if (classes.length === 0)
    return {
      cause: 'no-asking-agents',
      sentence: `The job waits: ${count(connectedAgents, 'agent')} connected, and none has asked for work yet.`,
    };
  if (matching.length === 0) return explainMismatch(classes);
  return explainMatching(broker);
}

function explainSentAway({ sentAway }: WhyFacts): Answer {
  const codes = [...new Set(sentAway.map(({ code }) => code))].join(', ');
  return {
    cause: 'agents-sent-away',
    sentence: `The job waits: no agent is connected, and the last ones were sent away as ${codes}.`,
    evidence: sentAway.map(
      ({ agent, code, agoMs }) => `agent ${agent} was sent away ${age(agoMs)} ago: ${code}`,
    ),
  };
}

const MISMATCHES = { false: 'no-match', undefined: 'no-match-undefined', error: 'no-match-error' } as const;

/** The class with most agents stands for all in the sentence; the evidence has the others. */
function explainMismatch(classes: readonly ClassFacts[]): Answer {
  const all = classes.reduce((sum, { agents }) => sum + agents, 0);
  const obstacles = classes.flatMap(({ agents, obstacle }) =>
    obstacle === null ? [] : [{ agents, obstacle }],
  );
  const [first] = obstacles;
  if (first === undefined)
    return { cause: 'unexplained', sentence: 'The job waits for no reason that is known.' };
  const { result, expression } = first.obstacle;
  const value = result === 'false' ? 'is not true' : `is ${result}`;
  return {
    cause: MISMATCHES[result],
    sentence: `No agent of ${all} may run the job: it needs ${expression}, which ${value} (${hostWords(first.obstacle.host)}).`,
    evidence: obstacles.map(
      ({ agents, obstacle }) =>
        `${count(agents, 'agent')}: ${obstacle.expression} is ${obstacle.result}, for ${hostWords(obstacle.host)}`,
    ),
  };
}

function hostWords(host: Readonly<Record<string, string>>): string {
  const values = Object.entries(host).map(([name, value]) => `${name} = ${value}`);
  return values.length === 0 ? 'the machines say nothing of it' : values.join(', ');
}

function explainMatching(broker: WhyFacts): Answer {
  const { matching } = broker;
  const evidence = matching.map(agentEvidence);
  const all = count(matching.length, 'agent');
  const are = (state: AgentFacts['state']): readonly AgentFacts[] =>
    matching.filter((agent) => agent.state === state);
  if (are('asking').length > 0)
    return {
      cause: 'about-to-start',
      sentence: `The job is about to start: ${count(are('asking').length, 'agent')} may run it and ask for work.`,
      evidence,
    };
  if (are('busy').length > 0)
    return {
      cause: 'agents-busy',
      sentence: `The job waits for its turn: ${count(are('busy').length, 'agent')} of ${matching.length} that may run it are at work${placeWords(broker)}.`,
      evidence,
    };
  const cooling = are('cooling-down');
  if (cooling.length > 0)
    return {
      cause: 'agents-cooling-down',
      sentence: `The job waits: ${count(cooling.length, 'agent')} of ${matching.length} that may run it cool down after fast failures, the first for another ${age(Math.min(...cooling.map(({ coolsForMs }) => coolsForMs)))}.`,
      evidence,
    };
  if (are('owner-limit').length > 0)
    return {
      cause: 'owner-limit',
      sentence: `The job waits: the owner of ${all} that may run it has ${broker.limits.liveAttemptsPerOwner} attempts under way, which is the limit.`,
      evidence,
    };
  if (are('agent-limit').length > 0)
    return {
      cause: 'agent-limit',
      sentence: `The job waits: ${all} that may run it hold as many attempts as one agent may (${broker.limits.liveAttemptsPerAgent} live).`,
      evidence,
    };
  return {
    cause: 'agents-silent',
    sentence: `The job waits: ${all} that may run it are connected and do not ask for work.`,
    evidence,
  };
}

function placeWords({ place }: WhyFacts): string {
  if (place === null) return '';
  const { ahead, campaigns, owners, queues } = place;
  const groups = `${count(queues, 'queue')}, ${count(owners, 'owner')} and ${count(campaigns, 'campaign')}`;
  return `; ${count(ahead, 'job')} of its own go first, and ${groups} take turns`;
}

function agentEvidence({ agent, state, live, coolsForMs }: AgentFacts): string {
  const cools = coolsForMs > 0 ? ` for ${age(coolsForMs)}` : '';
  return `agent ${agent}: ${state}${cools}, ${count(live, 'live attempt')}`;
}
