import { describe, expect, it } from 'vitest';
import { answerableOf } from '../../../conformance/answerable.ts';
import { LEVELS, SUBJECT_KINDS } from '../../../conformance/case.ts';
import { definedRequirements, unobservableRequirements } from '../../../conformance/requirements.ts';
import { casesOf } from '../../../conformance/suites.ts';

const defined = definedRequirements();
const unobservable = unobservableRequirements();
const suites = SUBJECT_KINDS.map((kind) => ({ kind, cases: casesOf(kind) })).filter(
  ({ cases }) => cases.length > 0,
);

describe('every requirement of docs/protocol.md', () => {
  it('has a kind of subject that answers for it, or a reason why nobody outside could see it', () => {
    const answered = new Set(SUBJECT_KINDS.flatMap(answerableOf));
    expect(defined.filter((id) => !answered.has(id) && !(id in unobservable))).toEqual([]);
  });

  it('that nobody outside could see is there, says why, and is proved by no case', () => {
    const proved = new Set(suites.flatMap(({ cases }) => cases.flatMap(({ requirements }) => requirements)));
    const ids = Object.keys(unobservable);
    expect(ids.filter((id) => !defined.includes(id))).toEqual([]);
    expect(
      ids.filter((id) => proved.has(id) || SUBJECT_KINDS.some((kind) => answerableOf(kind).includes(id))),
    ).toEqual([]);
    expect(Object.values(unobservable).filter((reason) => reason.length < 20)).toEqual([]);
  });
});

describe.each(suites)('the suite for $kind', ({ kind, cases }) => {
  const proved = new Set(cases.flatMap(({ requirements }) => requirements));

  it('has a case for every requirement that such a subject answers for', () => {
    expect(answerableOf(kind).filter((id) => !proved.has(id))).toEqual([]);
  });

  it('names only requirements that are there and that such a subject answers for', () => {
    expect([...proved].filter((id) => !defined.includes(id) || !answerableOf(kind).includes(id))).toEqual([]);
  });

  it('has cases with one id each, in the form that people quote, and a level', () => {
    const ids = cases.map(({ id }) => id);
    expect(ids.filter((id, at) => ids.indexOf(id) !== at)).toEqual([]);
    expect(ids.filter((id) => !/^[A-Z]{3}-[A-Z]{1,2}-[A-Za-z0-9-]+$/.test(id))).toEqual([]);
    expect(cases.filter(({ level }) => !LEVELS.includes(level))).toEqual([]);
    expect(cases.filter(({ requirements }) => requirements.length === 0)).toEqual([]);
  });
});

describe('the suite for agents', () => {
  const cases = casesOf('agent');

  it('tampers with what passes in at least fifty ways', () => {
    const tampering = cases.filter(({ id }) => /^AGT-(?:S-2|F-[12])\d\d$/.test(id));
    expect(tampering.length).toBeGreaterThanOrEqual(50);
  });

  it('has cases for each level', () => {
    for (const level of LEVELS)
      expect(cases.filter((testCase) => testCase.level === level).length).toBeGreaterThan(10);
  });
});
