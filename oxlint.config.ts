import { defineConfig } from 'oxlint';

/** Files that decide: they reach the world only through ports (docs/adr/0003). */
const pure = [
  'protocol/*.ts',
  'protocol/session/**/*.ts',
  'protocol/classad/**/*.ts',
  'protocol/bindings/bus.ts',
  'protocol/bindings/memory.ts',
  'broker/core/**/*.ts',
  'broker/matching/**/*.ts',
  'broker/service/**/*.ts',
  'broker/ledger/ledger.ts',
  'broker/ledger/memory.ts',
  'adapters/jobs/*.ts',
  'adapters/jobs/local/*.core.ts',
  'adapters/storage/*.ts',
  'agent/loop/**/*.ts',
];

const bannedGlobals = [
  'Date',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'clearTimeout',
  'clearInterval',
  'fetch',
  'process',
  'performance',
  'crypto',
];

const throughAPort = 'Reach the world through a port (protocol/runtime), never directly.';

const everywhere = [
  'no-array-constructor',
  'no-unused-expressions',
  'no-useless-constructor',
  'no-var',
  'prefer-const',
  'prefer-rest-params',
  'prefer-spread',
];

/** Strict, and by types (rules of typescript-eslint, of the same names). */
const byTypes = [
  'await-thenable',
  'ban-ts-comment',
  'no-array-delete',
  'no-base-to-string',
  'no-deprecated',
  'no-duplicate-enum-values',
  'no-duplicate-type-constituents',
  'no-dynamic-delete',
  'no-empty-object-type',
  'no-explicit-any',
  'no-extra-non-null-assertion',
  'no-extraneous-class',
  'no-floating-promises',
  'no-for-in-array',
  'no-implied-eval',
  'no-invalid-void-type',
  'no-meaningless-void-operator',
  'no-misused-new',
  'no-misused-promises',
  'no-misused-spread',
  'no-mixed-enums',
  'no-namespace',
  'no-non-null-asserted-nullish-coalescing',
  'no-non-null-asserted-optional-chain',
  'no-non-null-assertion',
  'no-redundant-type-constituents',
  'no-require-imports',
  'no-this-alias',
  'no-unnecessary-boolean-literal-compare',
  'no-unnecessary-template-expression',
  'no-unnecessary-type-arguments',
  'no-unnecessary-type-assertion',
  'no-unnecessary-type-constraint',
  'no-unnecessary-type-conversion',
  'no-unnecessary-type-parameters',
  'no-unsafe-argument',
  'no-unsafe-assignment',
  'no-unsafe-call',
  'no-unsafe-declaration-merging',
  'no-unsafe-enum-comparison',
  'no-unsafe-function-type',
  'no-unsafe-member-access',
  'no-unsafe-return',
  'no-unsafe-unary-minus',
  'no-useless-default-assignment',
  'no-wrapper-object-types',
  'only-throw-error',
  'prefer-as-const',
  'prefer-literal-enum-member',
  'prefer-namespace-keyword',
  'prefer-promise-reject-errors',
  'prefer-readonly',
  'prefer-reduce-type-parameter',
  'prefer-return-this-type',
  'related-getter-setter-pairs',
  'triple-slash-reference',
  'unbound-method',
  'unified-signatures',
  'use-unknown-in-catch-callback-variable',
];

const looseInTests = [
  'no-non-null-assertion',
  'no-unsafe-assignment',
  'no-unsafe-member-access',
  'no-unsafe-argument',
  'no-unsafe-return',
  'no-unsafe-call',
];

function all<Level extends 'error' | 'off'>(
  level: Level,
  rules: readonly string[],
  plugin = '',
): Record<string, Level> {
  return Object.fromEntries(rules.map((rule) => [`${plugin}${rule}`, level]));
}

export default defineConfig({
  plugins: ['typescript'],
  categories: { correctness: 'error' },
  options: { typeAware: true, reportUnusedDisableDirectives: 'error' },
  ignorePatterns: [
    'node_modules',
    '.tools',
    '.run',
    'dist',
    'coverage',
    'protocol/generated',
    '**/*.mjs',
    '**/*.cjs',
  ],
  rules: {
    ...all('error', everywhere),
    ...all('error', byTypes, 'typescript/'),
    'no-control-regex': 'off',
    'typescript/require-array-sort-compare': 'off',
    'typescript/no-confusing-void-expression': [
      'error',
      { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
    ],
    'typescript/no-unnecessary-condition': ['error', { allowConstantLoopConditions: 'always' }],
    'typescript/restrict-plus-operands': [
      'error',
      {
        allowAny: false,
        allowBoolean: false,
        allowNullish: false,
        allowNumberAndString: false,
        allowRegExp: false,
      },
    ],
    'typescript/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
    'typescript/return-await': ['error', 'error-handling-correctness-only'],
    'typescript/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
  },
  overrides: [
    { files: ['test/**/*.ts'], rules: all('off', looseInTests, 'typescript/') },
    {
      files: pure,
      rules: {
        'no-restricted-globals': ['error', ...bannedGlobals.map((name) => ({ name, message: throughAPort }))],
        'no-restricted-imports': [
          'error',
          {
            patterns: [
              { group: ['node:*', '!node:assert'], message: throughAPort },
              {
                group: ['ws', 'fastify', 'pino', 'amqplib', '@xmpp/*'],
                message: 'Transports and servers stay outside the simulated boundary.',
              },
            ],
          },
        ],
        'no-restricted-properties': [
          'error',
          { object: 'Math', property: 'random', message: 'Use the Random port.' },
        ],
      },
    },
  ],
});
