/** Which part may import which. docs/contributor.md says why. */
const ours = '^(protocol|agent|broker|adapters|conformance|cli|bin|examples|test)/|^co-pilot[.]ts$';

/** A part that may see itself and the protocol, and nothing else of ours. */
const seesOnlyProtocol = (part) => ({
  name: `${part}-sees-only-protocol`,
  comment: `${part}/ speaks to the other parts through protocol/ alone, so that each can run on a host of its own.`,
  severity: 'error',
  from: { path: `^${part}/` },
  to: { path: ours, pathNot: `^(${part}|protocol)/` },
});

module.exports = {
  forbidden: [
    {
      name: 'protocol-sees-nothing-of-ours',
      comment:
        'The protocol is what everybody shares; an agent in another language needs it and nothing else.',
      severity: 'error',
      from: { path: '^protocol/' },
      to: { path: ours, pathNot: '^protocol/' },
    },
    seesOnlyProtocol('agent'),
    seesOnlyProtocol('broker'),
    seesOnlyProtocol('adapters'),
    seesOnlyProtocol('conformance'),
    {
      name: 'only-the-command-line-sees-conformance',
      comment: 'The suites judge the other parts from outside; nothing they judge builds on them.',
      severity: 'error',
      from: { path: ours, pathNot: '^(conformance|cli|test)/|^co-pilot[.]ts$' },
      to: { path: '^conformance/' },
    },
    {
      name: 'only-the-program-sees-the-command-line',
      comment: 'cli/ is for people; nothing else builds on it.',
      severity: 'error',
      from: { path: ours, pathNot: '^(cli|test)/|^co-pilot[.]ts$' },
      to: { path: '^cli/|^co-pilot[.]ts$' },
    },
    {
      name: 'nothing-sees-tests',
      severity: 'error',
      from: { path: ours, pathNot: '^test/' },
      to: { path: '^test/' },
    },
    {
      name: 'transports-only-in-bindings',
      comment: 'A bus library is the business of the binding that wraps it.',
      severity: 'error',
      from: { path: ours, pathNot: '^(protocol/bindings|test)/|^adapters/jobs/alien/jalien-socket[.]ts$' },
      to: { path: '(^|node_modules/)(ws|amqplib|@xmpp/[^/]+|@types/ws)(/|$)' },
    },
    {
      name: 'the-database-behind-one-file',
      comment:
        'What speaks to PostgreSQL is decided in one place: settings, names, and how a lost connection shows.',
      severity: 'error',
      from: { path: ours, pathNot: '^broker/ledger/postgres-connection[.]ts$|^test/' },
      to: { path: '(^|node_modules/)(pg|@types/pg)(/|$)' },
    },
    {
      name: 'boinc-database-only-in-its-file',
      comment: 'What reads the database of a BOINC project is one file; everything else asks its port.',
      severity: 'error',
      from: { path: ours, pathNot: '^(test/|broker/enrolment/boinc/mariadb-)' },
      to: { path: '(^|node_modules/)mariadb(/|$)' },
    },
    {
      name: 'jobs-and-storage-apart',
      comment: 'A job adapter and a storage adapter are run on different hosts with different credentials.',
      severity: 'error',
      from: { path: '^adapters/(jobs|storage)/' },
      to: { path: '^adapters/(jobs|storage)/', pathNot: '^adapters/$1/' },
    },
    {
      name: 'frameworks-apart',
      comment: 'The adapter of one framework is the kit’s user, never another adapter’s.',
      severity: 'error',
      from: { path: '^adapters/jobs/([^/]+)/', pathNot: '^adapters/jobs/kit/' },
      to: { path: '^adapters/jobs/[^/]+/', pathNot: '^adapters/jobs/(?:$1|kit)/' },
    },
    {
      name: 'the-kit-knows-no-framework',
      severity: 'error',
      from: { path: '^adapters/jobs/kit/' },
      to: { path: '^adapters/jobs/[^/]+/', pathNot: '^adapters/jobs/kit/' },
    },
    {
      name: 'no-development-packages-at-run-time',
      comment: '`npm start` installs run-time packages only.',
      severity: 'error',
      from: {
        path: '^(protocol|agent|broker|adapters|conformance|cli)/|^co-pilot[.]ts$',
        pathNot: '^protocol/(schemas|vectors)/',
      },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'no-unknown-packages',
      severity: 'error',
      from: {},
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    { name: 'no-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-orphans',
      comment: 'A file that nothing imports and that imports nothing is not used.',
      severity: 'error',
      from: {
        orphan: true,
        path: ours,
        pathNot: '[.]d[.]m?ts$|^examples/|^protocol/generated/|^bin/[^/]+[.]mjs$',
      },
      to: {},
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^([.]git|[.]tools|[.]run|dist|coverage)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.mjs', '.json'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'node', 'default'],
    },
  },
};
